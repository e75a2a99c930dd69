"""The data lake of the cluster and the admin endpoints of its stand-ins, from this machine; and runs of `weather`."""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.filedatalake import DataLakeServiceClient, FileSystemClient

from tests.jobs.weather import Admin
from tidegate.cli import runs
from tidegate.cli.port_forward import forward

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

ACCOUNT, FILESYSTEM, ROOT = "lake", "tidegate", "raw/weather_data"
URL = f"abfss://{FILESYSTEM}@{ACCOUNT}/{ROOT}"
RUN_SECONDS = 600


@dataclass(frozen=True)
class Lake:
    """The filesystem that the pipelines write to."""

    files: FileSystemClient

    def body(self, path: str) -> bytes:
        return bytes(self.files.get_file_client(path).download_file().readall())

    def etag(self, path: str) -> str:
        return str(self.files.get_file_client(path).get_file_properties().etag)

    def has(self, path: str) -> bool:
        try:
            self.files.get_file_client(path).get_file_properties()
        except ResourceNotFoundError:
            return False
        return True


@contextmanager
def lake_of(kubectl: Kubectl) -> Iterator[Lake]:
    """While the block runs."""
    key = kubectl.secret("datalake")["DATALAKE_KEY"]
    with forward(kubectl, "datalake", 10000) as way:
        credential = {"account_name": ACCOUNT, "account_key": key}
        with DataLakeServiceClient(f"http://{way.address}/{ACCOUNT}", credential=credential) as service:
            yield Lake(service.get_file_system_client(FILESYSTEM))


@contextmanager
def faults(kubectl: Kubectl, what: str, port: int) -> Iterator[Admin]:
    """The admin endpoint of a stand-in; every fault is forgotten at the end of the block."""
    with forward(kubectl, what, port) as way:
        admin = Admin(way.address)
        admin.forget()
        try:
            yield admin
        finally:
            admin.forget()


def path_of(moment: datetime) -> str:
    """Where the file of a minute lies in the filesystem."""
    return f"{ROOT}/{moment.astimezone(UTC):%Y/%m/%d/%H/%M}/weather_data.json"


def free_minute(lake: Lake) -> datetime:
    """A minute of the last two hours without a file, at a second that no other run has for its date."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    for back in range(2, 120):
        moment = now - timedelta(minutes=back)
        if not lake.has(path_of(moment)):
            return moment + timedelta(seconds=random.randrange(1, 59), microseconds=random.randrange(10**6))  # noqa: S311
    raise AssertionError("every minute of the last two hours has a file")


def ended(api: Airflow, moment: datetime, *, dag_id: str = "weather") -> tuple[runs.Run, str]:
    """Run the pipeline for a moment; the run, and how it ended."""
    run = runs.Run(dag_id, api.trigger(dag_id, logical_date=moment))
    return run, runs.wait(api, [run], seconds=RUN_SECONDS)[run]


def succeeded(api: Airflow, moment: datetime, *, dag_id: str = "weather") -> runs.Run:
    run, state = ended(api, moment, dag_id=dag_id)
    assert state == "success", runs.failure(api, run)
    return run


def result(api: Airflow, run: runs.Run, task_id: str = "fetch_weather") -> dict[str, Any]:
    found: dict[str, Any] = api.xcom(run.dag_id, run.run_id, task_id)
    return found


@dataclass(frozen=True)
class Twice:
    """One minute's pipeline, run twice."""

    moment: datetime
    first: dict[str, Any]
    again: dict[str, Any]
    before: str
    """The file's etag after the first run."""
    after: str


def play_twice(kubectl: Kubectl, api: Airflow) -> Twice:
    """Both, one after the other."""
    with lake_of(kubectl) as lake:
        moment = free_minute(lake)
        path = path_of(moment)
        first = result(api, succeeded(api, moment))
        before = lake.etag(path)
        again = result(api, succeeded(api, moment.replace(second=(moment.second + 1) % 60)))
        return Twice(moment, first, again, before, lake.etag(path))
