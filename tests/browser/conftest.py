"""An Airflow with the ledger's page, a ledger that a day has been written into, and a browser that has signed in."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import chromium
from tests.browser.story import SHOWN, Story
from tests.browser.window import Window
from tests.ledger.fixtures import postgresql
from tests.ledger.servers import new_database
from tests.local_airflow import ROOT, LocalAirflow
from tidegate.ledger.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["postgresql"]

PIPELINES = ("petrol", "weather", "people", "ml_training_dag", "ml_testing_dag")


@pytest.fixture(scope="module")
def ledger(postgresql: str) -> str:
    """The address of a ledger with a day in it."""
    address = new_database(postgresql, "ledger")
    migrate(address)
    Story(address).tell()
    return address


@pytest.fixture(scope="module")
def airflow(postgresql: str, ledger: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """Its API server, which serves the UI, with the pipelines of the story, and one run that is over."""
    local = LocalAirflow(
        tmp_path_factory.mktemp("airflow") / "home",
        database=new_database(postgresql, "airflow"),
        environment={"AIRFLOW_CONN_ML_AIRFLOW": ledger},
        components=("api-server",),
    )
    for name in PIPELINES:
        shutil.copy(ROOT / "dags" / f"{name}.py", local.dags)
    shutil.copy(ROOT / "images" / "airflow" / "plugin.py", local.plugins)
    with local:
        local.rest("POST", "dags/petrol/dagRuns", {"dag_run_id": SHOWN, "logical_date": None})
        for task_id in ("train_model", "upload_model"):
            state = {"new_state": "success"}
            local.rest("PATCH", f"dags/petrol/dagRuns/{SHOWN}/taskInstances/{task_id}", state)
        yield local


@pytest.fixture(scope="module")
def window(airflow: LocalAirflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    """A browser that has signed in."""
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        window = Window(driver, airflow.url)
        window.sign_in(airflow.password)
        yield window
