"""Azure Machine Learning Studio, one click from a task.

The step tells the page of what it works on as soon as it is known (`tidegate.airflow.early`), so the button is there
while a job runs and after it failed. Reads: the XCom `studio_url`. Writes: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

STUDIO_URL = "studio_url"


class StudioLink(BaseOperatorLink):
    """The page of the job, compute, environment, asset or endpoint."""

    name = "Azure Machine Learning Studio"

    @property
    def xcom_key(self) -> str:
        """Where the address is: the triggerer writes it, no worker has to."""
        return STUDIO_URL

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address, "" before there is one. Only called on a worker; the UI reads the XCom itself."""
        from airflow.sdk.execution_time.xcom import XCom  # noqa: PLC0415 - a DAG file need not import it

        del operator
        found = XCom.get_one(
            key=STUDIO_URL,
            dag_id=ti_key.dag_id,
            task_id=ti_key.task_id,
            run_id=ti_key.run_id,
            map_index=ti_key.map_index,
        )
        return str(found or "")
