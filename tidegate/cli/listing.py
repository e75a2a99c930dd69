"""What `status`, `logs` and `images list` look up before they print it.

Reads: the release, pods, the REST API, the engine. Writes: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.cli import pods, release, state, table
from tidegate.cli.fault import Fault
from tidegate.cluster import engine, images, standins

if TYPE_CHECKING:
    from rich.table import Table

    from tidegate.cli.airflow_api import Airflow
    from tidegate.cli.kubectl import Kubectl


def release_table(kubectl: Kubectl) -> Table:
    """Context, mode, helm's word on the release, and what is not ready."""
    held = pods.unready(kubectl.items("pods"))
    lines = [
        ("context", kubectl.context),
        ("Airflow installed by", state.airflow_by()),
        ("release", release.status(kubectl).get("status", "not installed")),
        ("not ready", "\n".join(f"{name}: {reason}" for name, reason in sorted(held.items())) or "nothing"),
    ]
    return table.rows("Release", ("what", "is"), lines)


def runs_table(api: Airflow) -> Table:
    """The newest run of every pipeline."""
    lines = [(dag_id, *_newest(api, dag_id)) for dag_id in api.dag_ids()]
    return table.rows("Pipelines", ("pipeline", "state", "newest run"), lines)


def _newest(api: Airflow, dag_id: str) -> tuple[str, str]:
    found = api.runs(dag_id, limit=1)
    return (found[0]["state"], found[0]["dag_run_id"]) if found else ("never ran", "-")


def task_log(api: Airflow, dag_id: str, task_id: str, *, run_id: str | None, attempt: int | None) -> list[str]:
    """The lines of a task's log; raises `Fault` naming the tasks there are."""
    if run_id is None:
        newest = api.runs(dag_id, limit=1)
        if not newest:
            msg = f"{dag_id} has never run; `tidegate trigger {dag_id}` starts it"
            raise Fault(msg)
        run_id = newest[0]["dag_run_id"]
    tries = {task["task_id"]: task["try_number"] for task in api.tasks(dag_id, run_id)}
    if task_id not in tries:
        msg = f"run {run_id} of {dag_id} has no task {task_id!r}; want one of {', '.join(sorted(tries))}"
        raise Fault(msg)
    return api.log(dag_id, run_id, task_id, attempt=attempt or max(1, tries[task_id]))


def images_table(*, registry: str | None) -> Table:
    """Our images and others', with where each comes from."""
    ours = [(name, "built here", ref) for name, ref in images.references(registry=registry).items()]
    others = [(one.folder, _origin(one.ref), one.ref) for one in standins.ALL]
    return table.rows("Images", ("image", "comes from", "reference"), [*ours, *others])


def _origin(ref: str) -> str:
    """Where the engine's image of that name comes from; the nodes of a context that was named pull upstream's."""
    if engine.find() is None or not standins.exists(ref):
        return "upstream"
    return "stand-in, built here" if standins.is_standin(ref) else "upstream, pulled"
