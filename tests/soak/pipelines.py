"""The DAGs of `airflow_alone`, and what their steps do: each is a Python file that a pod runs."""

from __future__ import annotations

REPORT = """
import json, os, sys
run, params = json.loads(os.environ["TIDEGATE_RUN"]), json.loads(os.environ["TIDEGATE_PARAMS"])
def finish(**more):
    base = {"outputs": [{"name": "model", "url": os.environ["TIDEGATE_OUTPUT"] + "/model"}], "metrics": {"r2": 0.5},
            "summary": "done", "params": params, "inputs": json.loads(os.environ["TIDEGATE_INPUTS"]), "run": run}
    open(os.environ["TIDEGATE_RESULT"], "w").write(json.dumps({**base, **more}))
"""
SCRIPTS = {
    "report": f"{REPORT}\nprint('line of', run['task_id'], run['map_index'])\nfinish()",
    "split": f"{REPORT}\nfinish(value=[{{'n': 1}}, {{'n': 2}}, {{'n': 3}}])",
    "flaky": f"{REPORT}\nif run['try_number'] == 1: sys.exit('first try fails')\nfinish()",
    "refuse": f"{REPORT}\nsys.exit(print('column Petrol_tax is missing') or 2)",
    "sleep": f"{REPORT}\nimport time\nprint('begun', flush=True)\nover = time.time() + params['seconds']\n"
    "while time.time() < over and not os.path.exists(params['until']): time.sleep(0.1)\nfinish()",
    "nap": f"{REPORT}\nimport time\ntime.sleep(1)\nfinish()",
}

DAGS = """
from datetime import timedelta
from airflow.sdk import DAG, Asset, task, task_group
from tidegate.airflow import step

with DAG("chain", schedule=None, params={"n": 3}):
    train = step("report", task_id="train", params={"n": "{{ params.n }}"}, inputs={"data": "data/x.csv"})
    upload = step("report", task_id="upload", inputs={"model": train.output["model"]})

    @task
    def reader(result, ti=None):
        return [result["metrics"]["r2"], ti.xcom_pull(task_ids="train", key="model")]

    reader(train.output)

with DAG("maps", schedule=None):
    split = step("split")
    over_output = step.partial("report", task_id="over_output", inputs={"data": "d.csv"}).expand(params=split.output)
    product = step.partial("report", task_id="product").expand(
        params=[{"a": 1}, {"a": 2}], output=["out/{{ ti.map_index }}/x", "out/y"]
    )
    rows = step.partial("report", task_id="rows").expand_kwargs(
        [{"params": {"k": 1}}, {"params": {"k": 2}, "output": "o"}]
    )
    gathered = step("report", task_id="gathered", inputs={}, params={"all": over_output.output})

    @task_group
    def each(x):
        first = step("report", task_id="first", params={"x": x})
        step("report", task_id="second", params={"before": first.output["model"]})

    each.expand(x=[10, 20])

    @task
    def plain(item):
        return item["n"] * 10

    plain.expand(item=split.output)

def called(context):
    from airflow.sdk import Variable
    Variable.set("success_callback", context["ti"].task_id)

with DAG("worker_ends", schedule=None):
    step("report", task_id="with_outlet", outlets=[Asset("s3://bucket/model")])
    step("report", task_id="with_callback", on_success_callback=called)
    step("report", task_id="on_worker", worker=True, params={"n": "{{ 1 + 1 }}"}, retries=1,
         retry_delay=timedelta(seconds=1))

with DAG("consumer", schedule=[Asset("s3://bucket/model")], is_paused_upon_creation=False):
    step("report", task_id="consume")

def told(context):
    from airflow.sdk import Variable
    from tidegate.airflow.notify import describe
    Variable.set("told", describe(context))

with DAG("failures", schedule=None):
    step("flaky", retries=1, retry_delay=timedelta(seconds=1))
    step("refuse", retries=3, retry_delay=timedelta(seconds=1))
    step("refuse", task_id="refuse_once", on_failure_callback=told)

with DAG("long", schedule=None):
    seconds, until = "{{ dag_run.conf.get('seconds', 300) }}", "{{ dag_run.conf.get('until', '/nowhere') }}"
    step("sleep", retries=1, retry_delay=timedelta(seconds=1), params={"seconds": seconds, "until": until})

with DAG("narrow", schedule=None):
    step.partial("nap").expand(params=[{"n": n} for n in range(6)])
"""
