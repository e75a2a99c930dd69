"""Finds new people in a large batch, on demand: several pods at once clean, key and score it, one stores them.

The same steps as in `people`. Each pod of `prepare` takes a share of the batch; `dedup_people` then commits chunk by
chunk under the lock, and looks again at what was stored meanwhile, so that a share that is missing costs time and
nothing else. More nodes make `prepare` faster; how many pods there are is `SHARDS` below.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from tidegate.airflow import step
from tidegate.airflow.notify import Notify

SHARDS = 4
PREPARED = "people/prepared/{{ (dag_run.logical_date or dag_run.run_after).strftime('%Y/%m/%d/%H%M%S') }}"
MATCHED = ("match_at", "review_at", "chunk_rows", "columns")
PEOPLE = {"people": "{{ params.data or ti.xcom_pull(task_ids='make_people', key='people', map_indexes=-1) }}"}

with DAG(
    "people_in_shards",
    schedule=None,
    catchup=False,
    max_active_runs=2,
    doc_md=__doc__,
    params={
        "count": Param(100_000, type="integer", minimum=1, maximum=10_000_000, description="Records in a made batch."),
        "data": Param(
            "",
            type="string",
            description="A batch of your own instead: Parquet, CSV or JSON Lines, a URL or a path in the store.",
        ),
        "columns": Param(
            {}, type="object", description='Its columns where they differ from ours: {"first_name": "given", ...}.'
        ),
        "match_at": Param(
            0.98,
            type="number",
            exclusiveMinimum=0.5,
            exclusiveMaximum=1,
            description="Score from which a record is taken for a person who is known.",
        ),
        "review_at": Param(
            0.03,
            type="number",
            exclusiveMinimum=0,
            exclusiveMaximum=1,
            description="Score below which it is somebody new; between the two it waits for a person.",
        ),
        "chunk_rows": Param(1000, type="integer", minimum=1, maximum=20_000, description="Records in a transaction."),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "on_failure_callback": Notify()},
):
    matching = {name: f"{{{{ params.{name} }}}}" for name in MATCHED}
    make = step("make_people", params={"count": "{{ params.count }}"})
    prepare = step.partial("dedup_people", task_id="prepare", inputs=PEOPLE, output=PREPARED).expand(
        params=[{**matching, "stage": "prepare", "shard": shard, "shards": SHARDS} for shard in range(SHARDS)]
    )
    dedup = step("dedup_people", params={**matching, "stage": "commit"}, inputs={**PEOPLE, "prepared": PREPARED})
    tell_success = step("send_mail", task_id="tell_success", inputs={"report": dedup.output["report"]})
    tell_failure = step(
        "send_mail",
        task_id="tell_failure",
        params={"kind": "failure", "reason": "make_people, prepare or dedup_people, after its retries"},
        trigger_rule="one_failed",
    )
    make >> prepare >> dedup
    [make, prepare, dedup] >> tell_failure
