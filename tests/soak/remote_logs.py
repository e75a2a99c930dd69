"""Logs of tasks in the object store instead of on a volume: written by every part, and read when those parts are gone.

`make soak CELLS=remote_logs`, or `pytest tests/soak/remote_logs.py`; it restarts all of Airflow twice. Writes: a Secret
with the store's keys, revisions of the release, a DAG and its run, logs in the store; all but the revisions go in the
end. Again: the same.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.cluster import counted
from tests.cluster.stage import staged
from tests.soak.changed import READY_SECONDS, changed
from tidegate.cli import pods, runs
from tidegate.cli.kubectl import NAMESPACE
from tidegate.cli.objects import BUCKET
from tidegate.cluster import chart

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl

DAG = counted.Counted("soak_remote_logs", lines=40, seconds=4)
SECRET, PREFIX = "soak-log-writer", "soak-logs"
ENDS_WITHIN, STORED_WITHIN = 600, 60
PARTS = "tier=airflow,component in (scheduler,triggerer,api-server,dag-processor)"


@pytest.fixture
def values(kubectl: Kubectl, store: counted.S3, tmp_path: Path) -> Iterator[Path]:
    """A values file: no volume for logs, a place in the store, and keys that may write there for every part."""
    root, reader = kubectl.secret("versitygw"), kubectl.secret("store-reader")
    keys = {"AWS_ACCESS_KEY_ID": root["ROOT_ACCESS_KEY"], "AWS_SECRET_ACCESS_KEY": root["ROOT_SECRET_KEY"]}
    keys |= {name: reader[name] for name in ("AWS_ENDPOINT_URL_S3", "AWS_REGION")}
    metadata = {"name": SECRET, "namespace": NAMESPACE}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys}
    kubectl.text("apply", "--filename", "-", stdin=json.dumps(secret))
    given = [{"configMapRef": {"name": "tidegate-airflow"}}, {"secretRef": {"name": SECRET}}]
    own = yaml.safe_load((chart.CHART / "values.yaml").read_text())["airflow"]["triggerer"]["env"]
    airflow = {
        "logs": {"persistence": {"enabled": False}},
        "extraEnvFrom": yaml.safe_dump(given),
        "triggerer": {"env": [one for one in own if one["name"] not in keys]},
    }
    settings = {"airflowSettings": {"AIRFLOW__TIDEGATE__LOGS_URL": f"s3://{BUCKET}/{PREFIX}"}}
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump({"global": settings, "airflow": airflow}))
    yield path
    kubectl.text("delete", "secret", SECRET, "--namespace", NAMESPACE)
    counted.forget_below(store, PREFIX)


def test_logs_are_in_the_store_and_read_from_there_by_new_pods(
    kubectl: Kubectl, api: Airflow, store: counted.S3, values: Path
) -> None:
    with changed(kubectl, values), staged(kubectl, api, {DAG.dag_id: DAG.text}):
        run = runs.Run(DAG.dag_id, api.trigger(DAG.dag_id))
        assert runs.wait(api, [run], seconds=ENDS_WITHIN) == {run: "success"}
        place = f"{PREFIX}/dag_id={run.dag_id}/run_id={run.run_id}/"
        tasks = {f"task_id={task}" for task in (counted.FIRST, counted.SECOND)}
        runs.until(
            lambda: {name.split("/")[0] for name in counted.versions_below(store, place)} == tasks,
            seconds=STORED_WITHIN,
            what="the logs of both tasks",
            state=lambda: str(counted.versions_below(store, PREFIX)),
        )
        kubectl.text("delete", "pods", "--selector", PARTS, "--namespace", NAMESPACE, "--wait=true", timeout=300)
        pods.wait_ready(kubectl, seconds=READY_SECONDS)
        counted.assert_complete_log(api, DAG, run.run_id)
    counted.forget(store, DAG)
