"""A step that succeeds in the triggerer ends without a callback, which it cannot have.

Airflow sends one for whatever a trigger ends (apache-airflow 3.3.2, `handle_event_submit`), without a look at whether
the task has any: the DAG processor then reads the pipeline's whole file, only to find nothing to call. Of a hundred
mapped steps that is a hundred times. A step with a success callback is finished by a worker (see `paths`), so those
that end here have none. Failures are left as they are: pipelines notify of them.
Writes: the task's state, by Airflow's own means. Again: as Airflow's.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from airflow.models.trigger import handle_event_submit
from airflow.triggers.base import BaseTaskEndEvent, TaskSuccessEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

OPERATOR: Final = "StepOperator"
"""As Airflow stores the class of a step's task."""


def install() -> bool:
    """Have successes of steps end so in this process; False where Airflow has a way of its own for successes."""
    ends: Callable[..., Any] = handle_event_submit.dispatch(BaseTaskEndEvent)
    if handle_event_submit.dispatch(TaskSuccessEvent) is not ends:
        log.warning("Airflow ends tasks in its own way: each success of a step has its file read by the DAG processor")
        return False
    handle_event_submit.register(TaskSuccessEvent, quietly(ends))
    return True


def quietly(ends: Callable[..., Any]) -> Callable[..., None]:
    """What ends a step without a callback, and everything else by `ends`."""

    def end(event: TaskSuccessEvent, *, task_instance: TaskInstance, session: Session) -> None:
        if task_instance.operator != OPERATOR or event.xcoms:
            ends(event, task_instance=task_instance, session=session)
            return
        task_instance.trigger_id = None
        task_instance.set_state(event.task_instance_state, session=session)
        session.flush()

    return end
