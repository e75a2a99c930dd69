"""ml_training_dag and ml_testing_dag under the ledger: what they share is done once, and the views tell of it."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text

from tidegate.airflow.local_pods import LocalPods
from tidegate.airflow.testing import run_step

if TYPE_CHECKING:
    from airflow.sdk import DAG

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "registry.example/run_command@sha256:" + "c" * 64
TASKS = {
    "ml_training_dag": ("common_task_1", "common_task_2", "training_task_1"),
    "ml_testing_dag": ("common_task_1", "common_task_2", "testing_task_1", "testing_task_2"),
}


def run(folder: Path, name: str, run_id: str, **conf: str) -> list[str]:
    """One run, task after task; which of them had a pod."""
    dag: DAG = runpy.run_path(str(ROOT / "dags" / f"{name}.py"))["initializer"].dag
    xcoms: dict[str, Any] = {}
    ran = []
    entry = {"image": IMAGE, "resources": {"limits": {"memory": "256Mi"}}}
    config = {"_platform": json.dumps({"store_root": (folder / "store").as_uri()}), "run_command": json.dumps(entry)}
    for task_id in TASKS[name]:
        pods = LocalPods(
            config=config,
            commands={"run_command": [sys.executable, "-m", "jobs", "run_command"]},
            environment={"PYTHONPATH": str(ROOT)},
        )

        async def connect(pods: LocalPods = pods) -> LocalPods:
            return pods

        done = run_step(dag.get_task(task_id), connect=connect, run_id=run_id, conf=conf, xcoms=xcoms)
        assert done.state == "success", "\n".join(done.log)
        xcoms[task_id] = done.values
        ran += [task_id] if any(line.startswith("create ") for line in pods.requests) else []
    return ran


def test_both_share_what_depends_on_parameter_1_alone(tmp_path: Path, address: str) -> None:
    training, testing = {"parameter_1": "a", "parameter_2": "b"}, {"parameter_1": "a", "parameter_3": "c"}
    assert run(tmp_path, "ml_training_dag", "r1", **training) == list(TASKS["ml_training_dag"])
    assert run(tmp_path, "ml_training_dag", "r2", **training) == []
    assert run(tmp_path, "ml_testing_dag", "r3", **testing) == ["testing_task_1", "testing_task_2"]
    assert run(tmp_path, "ml_testing_dag", "r4", **testing | {"parameter_3": "d"}) == [
        "testing_task_1",
        "testing_task_2",
    ]
    assert run(tmp_path, "ml_testing_dag", "r5", **testing) == []
    engine = create_engine(address)
    with engine.connect() as connection:
        sets = connection.execute(text("SELECT parameter_1 FROM ml_dag")).scalars().all()
        tested = connection.execute(text("SELECT parameter_3 FROM ml_testing_dag ORDER BY parameter_3")).scalars().all()
        query = "SELECT datetime_finished IS NOT NULL, output_path FROM common_task_2"
        (common,) = connection.execute(text(query)).all()
    engine.dispose()
    assert (sets, tested) == (["a"], ["c", "d"])
    assert common == (1, f"{(tmp_path / 'store').as_uri()}/tasks/common_task_2/a")
