"""Where a step starts and where it ends: in the triggerer as long as nothing needs a worker.

| path               | starts in | ends in   | taken when                                                              |
|--------------------|-----------|-----------|-------------------------------------------------------------------------|
| workerless         | triggerer | triggerer | nothing below holds                                                     |
| finish on a worker | triggerer | worker    | outlets, a success callback: Airflow drops both for other tasks         |
| start on a worker  | worker    | worker    | `worker=True`; an execute callback or hook; Airflow before 3.3          |

Whatever the path, a failure for good of a task with retries ends on a worker: only AirflowFailException stops retries.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_WORKERLESS = (3, 3)
"""The Airflow version from which on a trigger may start and end a task with templates."""


class Path(StrEnum):
    """See the module's table."""

    WORKERLESS = "workerless"
    FINISH = "finish on a worker"
    START = "start on a worker"


_STARTS = ("on_execute_callback", "pre_execute", "post_execute")
_FINISHES = ("outlets", "on_success_callback")


def choose(options: Mapping[str, Any], *, worker: bool, version: tuple[int, int]) -> tuple[Path, str]:
    """Return the path of a task with these options, defaults of its DAG included, and why."""
    if worker:
        return Path.START, "worker=True"
    if version < FIRST_WORKERLESS:
        return Path.START, f"Airflow {version[0]}.{version[1]}"
    for name in _STARTS:
        if options.get(name):
            return Path.START, name
    for name in _FINISHES:
        if options.get(name):
            return Path.FINISH, name
    return Path.WORKERLESS, "nothing needs a worker"


_REFUSED = {
    "email": "use on_failure_callback=notify(): Airflow sends no mail for a task that ends in the triggerer",
    "on_skipped_callback": "use a task after it: Airflow does not call this for a task that ends in the triggerer",
    "retry_policy": "use retries and retry_delay: a policy is only asked on a worker; or worker=True",
    "max_active_tis_per_dag": "set concurrency.pipelines.<dag> in the chart's values: Airflow ignores this here",
    "max_active_tis_per_dagrun": "set concurrency.pipelines.<dag> in the chart's values: Airflow ignores this there",
    "run_as_user": "a step runs in its own pod; its user stands in the image",
    "executor_config": "a step runs in its own pod; set steps.<name> in the chart's values",
}


def refuse(step: str, options: Mapping[str, Any]) -> None:
    """Refuse what Airflow would silently ignore.

    Raises:
        TypeError: Names the option and what to write instead.
    """
    for name, instead in _REFUSED.items():
        if options.get(name):
            raise TypeError(f"step({step!r}) cannot take {name}: {instead}")
