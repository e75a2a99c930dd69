"""Who a pod belongs to: one try of one task of one run, and the names that follow from it.

Everything here is a pure function of the identity, so that whoever starts a pod, looks for it or cleans up after it
comes to the same name and the same labels.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

UNMAPPED = -1
"""Airflow's map index of a task that is not mapped."""

PREFIX = "tidegate.dev/"
"""Before every label and annotation of ours."""

WORK = f"{PREFIX}work"
"""Annotation: a digest of what the pod does. Two tries of a task with the same digest would do the same."""

NAME_LIMIT = 63
"""Characters of a pod's name (it is also its host name) and of a label's value."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """One try of one task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = UNMAPPED
    """`UNMAPPED`, or which instance of a mapped task."""
    try_number: int
    """From 1; clearing a task counts on."""
    logical_date: str
    """ISO 8601 with offset: the run's logical date, or run_after where it has none."""
    ti_id: str = ""
    """Airflow's own id of the task instance: tells two runs of the same name apart, when the first was deleted."""
    ledger_key: str = ""
    """Of the work, in the ledger; empty where no ledger is asked."""

    def document(self) -> dict[str, Any]:
        """What a step is told about its run (`$TIDEGATE_RUN`)."""
        known = asdict(self)
        del known["ti_id"]
        return known


def date_of(dag_run: Any) -> str:  # noqa: ANN401 - Airflow's own, or None
    """What `Identity.logical_date` is of a run; "" of none."""
    date = dag_run and (dag_run.logical_date or dag_run.run_after)
    return date.isoformat() if date else ""


def pod_name(step: str, run: Identity) -> str:
    """`<step>-<16 hex>`: the same for the same try, another for every other."""
    key = json.dumps([run.dag_id, run.run_id, run.task_id, run.map_index, run.try_number])
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"{kubernetes_name(step)[: NAME_LIMIT - 17].rstrip('-.')}-{digest}"


def kubernetes_name(name: str) -> str:
    """A name of ours in the form Kubernetes takes: lower case, `-` for everything else that it refuses."""
    return re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-.")


def service_account(dag_id: str) -> str:
    """The service account that all steps of a DAG run as; the chart makes one for each of `pipelines`."""
    return f"pipeline-{kubernetes_name(dag_id)}"


def labels(step: str, run: Identity) -> dict[str, str]:
    """Labels of the pod of this very try."""
    return {
        "app.kubernetes.io/managed-by": "tidegate",
        f"{PREFIX}step": label_value(step),
        f"{PREFIX}try": str(run.try_number),
        **instance_labels(run),
    }


def task_labels(run: Identity) -> dict[str, str]:
    """Labels that the pods of a task have in common, over all runs."""
    return {f"{PREFIX}dag": label_value(run.dag_id), f"{PREFIX}task": label_value(run.task_id)}


def instance_labels(run: Identity) -> dict[str, str]:
    """Labels that the pods of all tries of one task instance have in common."""
    index = "none" if run.map_index == UNMAPPED else str(run.map_index)
    return {**task_labels(run), f"{PREFIX}run": label_value(run.run_id), f"{PREFIX}map-index": index}


def exact_ids(run: Identity) -> dict[str, str]:
    """The exact ids, which labels may have to shorten."""
    exact = {"dag-id": run.dag_id, "run-id": run.run_id, "task-id": run.task_id, "ti-id": run.ti_id}
    return {f"{PREFIX}{key}": value for key, value in exact.items()}


def selector(wanted: dict[str, str]) -> str:
    """A label selector that wants all of these."""
    return ",".join(f"{key}={value}" for key, value in sorted(wanted.items()))


def label_value(text: str) -> str:
    """`text` itself where a label can hold it; else what is left of it and 8 hex that tell it from its neighbours."""
    clean = _shaped(text, NAME_LIMIT)
    return clean if clean == text else f"{_shaped(text, NAME_LIMIT - 9)}-{_short_hash(text)}".lstrip("-")


def path_part(text: str) -> str:
    """`text` as one readable part of an object's key; as unique as `text` is."""
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")
    return clean if clean == text else f"{clean}-{_short_hash(text)}".lstrip("-")


def _shaped(text: str, limit: int) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:limit].strip("-._")


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
