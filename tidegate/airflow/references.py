"""Values that stand for another task's result or for a mapped argument, and how they are found when the step starts.

At parse time `encode` turns an `XComArg` into `{"$xcom": {"task_id", "key"}}` and a mapped task group's argument into
`{"$mapped": {"key", "order"}}`: plain JSON that survives serialization. When the step starts, `Resolver` looks the
values up with the few requests that Airflow answers in a triggerer (one XCom by index, a count of task instances).
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

from airflow.sdk.execution_time.comms import GetTICount, TICount
from airflow.sdk.execution_time.xcom import XCom

from tidegate.airflow.request import written
from tidegate.airflow.supervisor import asked

if TYPE_CHECKING:
    from tidegate.ledger import Output

XCOM, MAPPED = "$xcom", "$mapped"
RETURN_VALUE = "return_value"


class ReferenceError_(ValueError):  # noqa: N801, N818 - `ReferenceError` is a builtin
    """A reference that cannot be followed; the text says which and what to write instead."""


def encode(value: Any, *, where: str) -> Any:  # noqa: ANN401 - any JSON, or what Airflow puts in its place
    """Return `value` as JSON, references as markers.

    Raises:
        ReferenceError_: It holds something that only a worker can evaluate, such as `output.map(function)`.
    """
    from airflow.sdk.definitions._internal.expandinput import MappedArgument  # noqa: PLC0415
    from airflow.sdk.definitions.xcom_arg import PlainXComArg, XComArg  # noqa: PLC0415

    if isinstance(value, PlainXComArg):
        return {XCOM: {"task_id": value.operator.task_id, "key": value.key}}
    if isinstance(value, MappedArgument):
        names = value._input.value  # noqa: SLF001 - the only name it has
        return {MAPPED: {"key": value._key, "order": list(names) if isinstance(names, dict) else []}}  # noqa: SLF001
    if isinstance(value, XComArg):
        raise ReferenceError_(f"{where}: {value!r} is computed by a function; pass `task.output` or use worker=True")
    if isinstance(value, dict):
        return {key: encode(item, where=f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item, where=f"{where}[{index}]") for index, item in enumerate(value)]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise ReferenceError_(f"{where}: {type(value).__name__} is not JSON")


class Resolver:
    """Looks up references for one task instance.

    Args:
        task: The serialized operator, as the triggerer hands it out.
        dag_id, run_id, map_index: Of the task instance.
    """

    def __init__(self, task: Any, *, dag_id: str, run_id: str, map_index: int) -> None:  # noqa: ANN401
        self._task, self._dag_id, self._run_id, self._map_index = task, dag_id, run_id, map_index
        self._read: set[str] = set()

    async def own(self, order: list[str]) -> dict[str, Any]:
        """Return this instance's mapped arguments by name; none where the operator itself is not mapped.

        Args:
            order: The arguments as the DAG file names them: serialization sorts them, but their order counts.
        """
        if not hasattr(self._task, "_get_specified_expand_input"):
            return {}
        return await self._expanded(self._task._get_specified_expand_input().value, order)  # noqa: SLF001

    async def resolve(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return `value` with the markers in it replaced by what they stand for."""
        if isinstance(value, dict):
            if set(value) == {XCOM}:
                return await self._xcom(value[XCOM]["task_id"], value[XCOM]["key"])
            if set(value) == {MAPPED}:
                return await self._group_argument(**value[MAPPED])
            return {key: await self.resolve(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [await self.resolve(item) for item in value]
        return await self._reference(value)

    async def known(self) -> dict[str, Output]:
        """Return the outputs, by URL, of the tasks whose values were looked up: what the ledger knows them by."""
        found: dict[str, Output] = {}
        for task_id in sorted(self._read):
            value = await self._lookup(task_id, RETURN_VALUE)
            for result in value if isinstance(value, list) else [value]:
                found |= written(result)
        return found

    async def _reference(self, value: Any) -> Any:  # noqa: ANN401 - a scalar, or Airflow's own reference
        """Follow a reference that Airflow deserialized, as it stands in a mapped operator's arguments."""
        if hasattr(value, "operator") and hasattr(value, "key"):
            return await self._xcom(value.operator.task_id, value.key)
        if hasattr(value, "iter_references"):
            raise ReferenceError_(f"{type(value).__name__} is computed by a function; map over `task.output` itself")
        return value

    async def _group_argument(self, *, key: str, order: list[str]) -> Any:  # noqa: ANN401 - what the group was mapped over
        group = self._task.get_closest_mapped_task_group()
        if group is None:
            raise ReferenceError_(f"{self._task.task_id} uses the argument {key!r} outside a mapped task group")
        return (await self._expanded(group._expand_input.value, order))[key]  # noqa: SLF001 - no public name

    async def _expanded(self, value: Any, order: list[str]) -> dict[str, Any]:  # noqa: ANN401 - a dict of lists or a list of dicts
        """Pick this index: the product of a dict of lists, in order of the arguments, or one of a list of dicts."""
        if not isinstance(value, dict):
            rows = await self.resolve(value)
            return dict(await self.resolve(rows[self._map_index]))
        lists = {key: _as_list(await self.resolve(value[key])) for key in order or value}
        return pick(lists, self._map_index)

    async def _xcom(self, task_id: str, key: str) -> Any:  # noqa: ANN401 - any JSON
        found = await self._lookup(task_id, key)
        if key != RETURN_VALUE:
            self._read.add(task_id)
        if found is None:
            raise ReferenceError_(f"task {task_id} left no {key!r}: it was skipped, or names its outputs otherwise")
        return found

    async def _lookup(self, task_id: str, key: str) -> Any:  # noqa: ANN401 - any JSON
        group = _shared_group(self._task, task_id)
        if group is not None:
            return await self._one(task_id, key, self._map_index)
        if not _is_mapped(self._task, task_id):
            return await self._one(task_id, key, -1)
        count = await self._count(task_id)
        values = [await self._one(task_id, key, index) for index in range(count)]
        return [value for value in values if value is not None]

    async def _one(self, task_id: str, key: str, map_index: int) -> Any:  # noqa: ANN401 - any JSON
        where = {"dag_id": self._dag_id, "task_id": task_id, "run_id": self._run_id, "map_index": map_index}
        return await asked(lambda: XCom.aget_one(key=key, **where))

    async def _count(self, task_id: str) -> int:
        from airflow.sdk.execution_time import task_runner  # noqa: PLC0415 - bound when the triggerer has started

        request = GetTICount(dag_id=self._dag_id, task_ids=[task_id], run_ids=[self._run_id])
        answer = await asked(lambda: task_runner.SUPERVISOR_COMMS.asend(request))
        return answer.count if isinstance(answer, TICount) else 0


def pick(lists: dict[str, list[Any]], index: int) -> dict[str, Any]:
    """Return element `index` of the product of `lists`: the last argument varies fastest, as Airflow counts."""
    total = functools.reduce(operator.mul, (len(items) for items in lists.values()), 1)
    if index >= total:
        raise ReferenceError_(f"map index {index} of {total}: the list has become shorter since the run began")
    chosen: dict[str, Any] = {}
    for key in reversed(lists):
        chosen[key] = lists[key][index % len(lists[key])]
        index //= len(lists[key])
    return {key: chosen[key] for key in lists}


def _as_list(value: Any) -> list[Any]:  # noqa: ANN401 - what was mapped over
    return [list(pair) for pair in value.items()] if isinstance(value, dict) else list(value)


def _operator(task: Any, task_id: str) -> Any:  # noqa: ANN401 - serialized operators have no common type
    return task.dag.get_task(task_id)


def _is_mapped(task: Any, task_id: str) -> bool:  # noqa: ANN401 - as above
    other = _operator(task, task_id)
    return hasattr(other, "_get_specified_expand_input") or other.get_closest_mapped_task_group() is not None


def _shared_group(task: Any, task_id: str) -> Any:  # noqa: ANN401 - as above
    """Return the mapped task group that both tasks are in: there each index sees its own neighbour."""
    own, other = task.get_closest_mapped_task_group(), _operator(task, task_id).get_closest_mapped_task_group()
    same = own is not None and other is not None and own.group_id == other.group_id
    return own if same else None
