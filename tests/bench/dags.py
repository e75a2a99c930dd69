"""The DAG files of the benchmarks, as text: the same no-op step by each way there is to run it."""

from __future__ import annotations

import json
from typing import Any

STEP, STOCK, DEFERRABLE = "bench_step", "bench_stock", "bench_deferrable"
"""One task each: `step()`; a stock KubernetesPodOperator; the same, deferrable."""
IDLE = "bench_idle"
HIT = "bench_hit"
"""The steps of `petrol`."""

_STEP = '''\
"""A no-op step."""

from airflow.sdk import DAG

from tidegate.airflow import step

with DAG("{dag_id}", schedule=None):
    step("hello", params={{"lines": 1}})
'''

_STOCK = '''\
"""A no-op step's pod, by a stock KubernetesPodOperator."""

import json

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG

POD = json.loads({pod!r})

with DAG("{dag_id}", schedule=None):
    KubernetesPodOperator(
        task_id="hello",
        namespace=POD["metadata"]["namespace"],
        kubernetes_conn_id=None,
        in_cluster=True,
        pod_template_dict=POD,
        deferrable={deferrable},
    )
'''

_FAN = '''\
"""{count} steps at once: one mapped task."""

from airflow.sdk import DAG

from tidegate.airflow import step

PARAMS = [{{"name": f"number {{number}}", "lines": {lines}, "seconds": {seconds}}} for number in range({count})]

with DAG("{dag_id}", schedule=None, max_active_tasks={count}):
    step.partial("hello").expand(params=PARAMS)
'''

_PETROL = '''\
"""The steps of `petrol`, which publish elsewhere."""

from airflow.sdk import DAG

from tidegate.airflow import step

with DAG("{dag_id}", schedule=None):
    train = step("train_model", params={{"n_estimators": 5}}, inputs={{"data": "data/petrol_consumption.csv"}})
    inputs = {{name: train.output[name] for name in ("model", "card", "holdout")}}
    step("upload_model", inputs=inputs, output="tests/{dag_id}")
'''


def petrol_like(dag_id: str) -> str:
    """Train and publish."""
    return _PETROL.format(dag_id=dag_id)


def single(dag_id: str) -> str:
    """One no-op step."""
    return _STEP.format(dag_id=dag_id)


def stock(dag_id: str, pod: dict[str, Any], *, deferrable: bool) -> str:
    """The same pod by Airflow's own operator, all its other options at their defaults."""
    return _STOCK.format(dag_id=dag_id, pod=json.dumps(pod), deferrable=deferrable)


def fan(dag_id: str, count: int, *, seconds: float = 0, lines: int = 1) -> str:
    """One step mapped over `count` arguments; each takes `seconds`."""
    return _FAN.format(dag_id=dag_id, count=count, seconds=seconds, lines=lines)


def fan_id(count: int) -> str:
    """Name of the DAG with so many steps."""
    return f"bench_fan_{count}"
