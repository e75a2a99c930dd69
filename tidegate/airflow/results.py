"""What a step handed back, from the pod's termination message to values that later tasks can use and map over."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import DeleteXCom
from airflow.sdk.execution_time.xcom import XCom

from tidegate.airflow.supervisor import asked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tidegate.airflow.failures import Failure
    from tidegate.airflow.identity import Identity

RETURN_VALUE = "return_value"
USAGE = "usage"
"""Key of a result that is for the ledger alone: what the step used differs each time, and a hit uses nothing."""

FAILURE = "failure"
"""XCom that says why the last try failed: Airflow's event for it carries no text, and its callbacks get none."""

RESERVED = frozenset({RETURN_VALUE, FAILURE})
"""XComs that no output may be named like."""

FAILURE_SECONDS = 20.0
"""Seconds to write it: the first question after a triggerer's start takes up to seven. The log has it in any case."""

POINTER_SECONDS = 20.0
"""Seconds to fetch a result that was too long for the termination message."""


class BadResult(ValueError):  # noqa: N818 - the word that the task log shows
    """The step ended with 0, but what it left is no result."""


def parse(message: str) -> dict[str, Any]:
    """Return the result that a termination message holds; none at all is an empty one.

    Raises:
        BadResult: It is something else, or an output has a name of ours.
    """
    try:
        result = json.loads(message) if message.strip() else {}
    except ValueError:
        result = None
    if not isinstance(result, dict) or not _has_outputs(result):
        raise BadResult(f"it ended well, but its termination message is no result: {message.strip()[:500]!r}")
    if clash := sorted(RESERVED & {str(output["name"]) for output in result.get("outputs", [])}):
        raise BadResult(f"an output is called {', '.join(clash)}: that name is taken, use another")
    return result


async def follow_pointer(result: dict[str, Any], *, say: Callable[[str], None]) -> dict[str, Any]:
    """Return the whole result where the message is a pointer to it; the pointer itself where it cannot be read.

    Airflow need not be able to read the store: then later tasks get `{"result_url", "sha256"}`.
    """
    if set(result) != {"result_url", "sha256"}:
        return result
    try:
        async with asyncio.timeout(POINTER_SECONDS):
            body = await asyncio.to_thread(_fetch, result["result_url"])
    except Exception as fault:
        say(f"the result stays a pointer, {result['result_url']} cannot be read here: {fault}")
        return result
    if sha256(body).hexdigest() != result["sha256"]:
        raise BadResult(f"{result['result_url']} is not what the step wrote: its sha256 differs")
    return parse(body.decode())


def _fetch(url: str) -> bytes:
    from tidegate.step import store_for  # noqa: PLC0415 - brings a store's client

    return bytes(store_for(url).get(url))


def values(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the XComs of a result: `return_value` (its `value`, or all of it), and each output's URL by its name.

    Where `value` is an object, its texts are XComs of their own too: `task.output["id"]`.
    """
    named = {output["name"]: output["url"] for output in result.get("outputs", [])}
    told = {name: value for name, value in result.items() if name != USAGE}
    value = result.get("value", told)
    texts = value.items() if "value" in result and isinstance(value, dict) else ()
    own = {key: text for key, text in texts if isinstance(text, str) and key and key not in RESERVED}
    return {**own, **named, RETURN_VALUE: value}


def mapped_length(value: Any) -> int | None:  # noqa: ANN401 - any JSON
    """Return how many tasks can be mapped over a value, None where it is no list."""
    return len(value) if isinstance(value, (list, dict)) else None


async def hand_back(found: Mapping[str, Any], run: Identity) -> None:
    """Write the XComs from the triggerer, as JSON that later tasks can read and map over.

    `TaskSuccessEvent(xcoms=...)` would store JSON inside a JSON string and no length (apache-airflow 3.3.2).
    """
    for key, value in found.items():
        length = mapped_length(value) if key == RETURN_VALUE else None
        await asked(partial(XCom.aset, key=key, value=value, **_of(run), _mapped_length=length))
    if run.try_number > 1:
        await asked(lambda: task_runner.SUPERVISOR_COMMS.asend(DeleteXCom(key=FAILURE, **_of(run))))


async def leave_value(name: str, value: Any, run: Identity) -> None:  # noqa: ANN401 - any JSON
    """Write one value of a step that goes on."""
    await asked(partial(XCom.aset, key=name, value=value, **_of(run)))


async def leave_failure(failure: Failure, run: Identity, *, step: str) -> None:
    """Write why the try failed, for the UI and for those who are told of failures."""
    said = {"kind": failure.kind.value, "message": failure.message, "advice": failure.advice(step)}
    async with asyncio.timeout(FAILURE_SECONDS):
        await XCom.aset(key=FAILURE, value=said, **_of(run))


def _of(run: Identity) -> dict[str, Any]:
    return {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": run.task_id, "map_index": run.map_index}


def _has_outputs(result: Mapping[str, Any]) -> bool:
    outputs = result.get("outputs", [])
    return isinstance(outputs, list) and all(
        isinstance(output, dict) and {"name", "url"} <= output.keys() for output in outputs
    )
