"""Finds new people among those that are known, every hour, and tells by mail.

`make_people` makes a batch of records, the same all hour long; any Parquet, CSV or JSON Lines file can take
its place (`data`, and `columns` where its columns are named otherwise). `dedup_people` stores those whom it does not
know, each once, and holds back those of whom it is not sure. `tell_success` mails counts, the best and the worst scores
and the list to review; where a step before it has failed for good, `tell_failure` mails that. The same batch again
stores nobody twice and sends no second mail.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from tidegate.airflow import step
from tidegate.airflow.notify import Notify

MADE = ("count", "duplicates")
MATCHED = ("match_at", "review_at", "margin", "chunk_rows", "columns")

with DAG(
    "people",
    schedule="@hourly",
    catchup=False,
    max_active_runs=4,
    doc_md=__doc__,
    params={
        "count": Param(1000, type="integer", minimum=1, maximum=10_000_000, description="Records in a made batch."),
        "duplicates": Param(
            0.2, type="number", minimum=0, maximum=0.9, description="Share of them that are faulty copies of somebody."
        ),
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
        "margin": Param(
            1.0,
            type="number",
            minimum=0,
            maximum=30,
            description="Bits by which a match must be better than the runner-up; 1 bit is twice the odds.",
        ),
        "chunk_rows": Param(1000, type="integer", minimum=1, maximum=20_000, description="Records in a transaction."),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "on_failure_callback": Notify()},
):
    make = step("make_people", params={name: f"{{{{ params.{name} }}}}" for name in MADE})
    dedup = step(
        "dedup_people",
        params={name: f"{{{{ params.{name} }}}}" for name in MATCHED},
        inputs={
            "people": "{{ params.data or ti.xcom_pull(task_ids='make_people', key='people', map_indexes=-1) }}",
        },
    )
    tell_success = step("send_mail", task_id="tell_success", inputs={"report": dedup.output["report"]})
    tell_failure = step(
        "send_mail",
        task_id="tell_failure",
        params={"kind": "failure", "reason": "make_people or dedup_people, after its retries"},
        trigger_rule="one_failed",
    )
    make >> dedup
    [make, dedup] >> tell_failure
