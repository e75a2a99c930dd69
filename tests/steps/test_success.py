"""A step's success in the triggerer has nobody read its file; other tasks end as Airflow has them end."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.models import trigger
from airflow.triggers.base import BaseTaskEndEvent, TaskFailedEvent, TaskSuccessEvent

from tidegate.airflow import success
from tidegate.airflow.step_operator import StepOperator

if TYPE_CHECKING:
    from collections.abc import Callable

Called = list[Any]


class Task:
    """A row of Airflow's, as far as an end touches it."""

    def __init__(self, operator: str) -> None:
        self.operator, self.trigger_id, self.state = operator, 7, "deferred"

    def set_state(self, state: str, *, session: Any) -> None:
        assert session.flushed == 0
        self.state = state


def session() -> Any:
    made = SimpleNamespace(flushed=0)
    made.flush = lambda: setattr(made, "flushed", made.flushed + 1)
    return made


@pytest.fixture
def called() -> Called:
    return []


@pytest.fixture
def end(called: Called) -> Callable[..., None]:
    return success.quietly(lambda event, **given: called.append((event, given)))


def test_a_step_is_over_without_a_callback(end: Callable[..., None], called: Called) -> None:
    task, at = Task(StepOperator.__name__), session()
    end(TaskSuccessEvent(), task_instance=task, session=at)
    assert (task.state, task.trigger_id, at.flushed, called) == ("success", None, 1, [])


@pytest.mark.parametrize(
    ("operator", "event"), [("Sensor", TaskSuccessEvent()), ("StepOperator", TaskSuccessEvent(xcoms={"a": 1}))]
)
def test_all_else_is_ended_by_airflow(
    operator: str, event: TaskSuccessEvent, end: Callable[..., None], called: Called
) -> None:
    task, at = Task(operator), session()
    end(event, task_instance=task, session=at)
    assert called == [(event, {"task_instance": task, "session": at})]
    assert task.state == "deferred"


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Airflow's own table of what ends how, to be changed."""
    copy = functools.singledispatch(trigger.handle_event_submit.dispatch(object))
    for kind, ends in trigger.handle_event_submit.registry.items():
        copy.register(kind, ends)
    monkeypatch.setattr(success, "handle_event_submit", copy)
    return copy


def test_only_successes_end_so(events: Any) -> None:
    airflows = events.dispatch(BaseTaskEndEvent)
    assert success.install()
    assert events.dispatch(TaskSuccessEvent) is not airflows
    assert events.dispatch(TaskFailedEvent) is airflows


def test_an_airflow_that_ends_successes_in_its_own_way_is_left_alone(events: Any) -> None:
    events.register(TaskSuccessEvent, print)
    assert not success.install()
    assert events.dispatch(TaskSuccessEvent) is print
