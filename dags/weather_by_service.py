"""Writes the weather to the data lake by way of a web service, every ten minutes once it is switched on.

The other shape of `weather`: the extractor runs all the time behind an address (`weather.service.enabled` of the
chart's values), and `call_service`, which can call any service by its name, keeps the answer under the same path and
in the same bytes. A minute that has its file keeps it, whichever of the two pipelines wrote it.
"""

from datetime import timedelta

from airflow.sdk import DAG

from tidegate.airflow import step
from tidegate.airflow.notify import Notify

with DAG(
    "weather_by_service",
    schedule="*/10 * * * *",
    catchup=False,
    max_active_runs=2,
    is_paused_upon_creation=True,
    doc_md=__doc__,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=2), "on_failure_callback": Notify()},
):
    call = step(
        "call_service",
        params={"service": "fetch_weather", "file": "%Y/%m/%d/%H/%M/weather_data.json", "existing": "keep"},
        output="lake://raw/weather_data",
    )
    step("check_weather", inputs={"data": call.output["reply"]})
