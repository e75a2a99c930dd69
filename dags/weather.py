"""Writes the weather of some cities to the data lake, every ten minutes.

`fetch_weather` asks OpenWeatherMap once for each city and writes `raw/weather_data/YYYY/MM/DD/HH/mm/weather_data.json`,
the minute of the run in UTC; `check_weather` looks at what was written: count, schema, layout and freshness. The same
minute again changes nothing. Cities and units are in the chart's values under `weather`, the lake under `store.named`.
"""

from datetime import timedelta

from airflow.sdk import DAG

from tidegate.airflow import step
from tidegate.airflow.notify import Notify

with DAG(
    "weather",
    schedule="*/10 * * * *",
    catchup=False,
    max_active_runs=2,
    doc_md=__doc__,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=2), "on_failure_callback": Notify()},
):
    fetch = step("fetch_weather", output="lake://raw/weather_data")
    step("check_weather", inputs={"data": fetch.output["weather"]})
