"""Templates in a step's params, inputs and output: which are refused when the DAG is parsed, and how they are rendered.

In the triggerer a template that asks for what Airflow does not answer there hangs for ever, without a line in the log
(apache-airflow 3.3: `xcom_pull` without `map_indexes`, `prev_*_success`, asset events). So those are refused while the
file is parsed, with what to write instead.

A value that is one single expression keeps its type: `"{{ params.n_estimators }}"` gives 200, not "200".
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2
from airflow.sdk.definitions._internal.templater import FILTERS, SandboxedEnvironment
from jinja2 import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class TemplateError(ValueError):
    """A template that cannot work; the text says where it stands and what to write instead."""


_HANGS = {
    "prev_start_date_success": "compare with `data_interval_start`, or keep the time in an object the step writes",
    "prev_end_date_success": "compare with `data_interval_end`, or keep the time in an object the step writes",
    "prev_data_interval_start_success": "use `data_interval_start`",
    "prev_data_interval_end_success": "use `data_interval_end`",
    "triggering_asset_events": "pass what you need in the asset event's DAG run conf, or ask for `worker=True`",
    "inlet_events": "ask for `worker=True`",
    "outlet_events": "ask for `worker=True`",
    "task_state_store": "ask for `worker=True`",
    "asset_state_store": "ask for `worker=True`",
    "conn": "name a Secret in `steps.<name>.secret`: a password in a template is readable in clear text",
}
_KNOWN = frozenset({
    "dag", "dag_run", "data_interval_end", "data_interval_start", "ds", "ds_nodash", "expanded_ti_count", "inlets",
    "logical_date", "macros", "map_index_template", "outlets", "params", "partition_date", "partition_key", "run_id",
    "task", "task_instance", "task_instance_key_str", "task_reschedule_count", "ti", "ts", "ts_nodash",
    "ts_nodash_with_tz", "var",
})  # fmt: skip
_TASK_INSTANCE = frozenset({"ti", "task_instance"})


@cache
def environment() -> jinja2.Environment:
    """Return the sandbox with Airflow's filters in which a missing name is an error."""
    return SandboxedEnvironment(cache_size=200, undefined=jinja2.StrictUndefined)  # type: ignore[no-untyped-call]


def refuse(value: Any, *, where: str, worker: bool = False) -> None:  # noqa: ANN401 - any JSON
    """Refuse templates that would hang or fail in the triggerer; on a worker only what is unsafe anywhere.

    Raises:
        TemplateError: Names the field, the template and what to write instead.
    """
    if isinstance(value, str):
        _refuse_text(value, where=where, worker=worker)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str) and _is_template(key):
                raise TemplateError(f"{where}: the key {key!r} is a template; only values are rendered")
            refuse(item, where=f"{where}[{key!r}]", worker=worker)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            refuse(item, where=f"{where}[{index}]", worker=worker)


def render(value: Any, context: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    """Return `value` with every template in it rendered; keys and other values stay as they are.

    Raises:
        TemplateError: A name is not there in this run (`ds` of a run without a logical date), or it failed otherwise.
    """
    if isinstance(value, str):
        return _render_text(value, context)
    if isinstance(value, dict):
        return {key: render(item, context) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [render(item, context) for item in value]
    return value


def _is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


def _refuse_text(text: str, *, where: str, worker: bool) -> None:
    if not _is_template(text):
        return
    try:
        tree = environment().parse(text)
    except jinja2.TemplateSyntaxError as fault:
        raise TemplateError(f"{where}: {text!r} is not a template: {fault.message}") from None
    for what, instead in _faults(tree):
        if not worker or what == "`conn`":
            raise TemplateError(f"{where}: {what} in {text!r} does not work in a step; instead {instead}")


def _faults(tree: nodes.Template) -> Iterator[tuple[str, str]]:
    stored = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    for name in tree.find_all(nodes.Name):
        if name.ctx == "load" and name.name not in stored:
            yield from _name_faults(name.name)
    for filtered in tree.find_all(nodes.Filter):
        if filtered.name not in environment().filters:
            yield f"the filter `{filtered.name}`", f"compute it in the DAG file (filters: {', '.join(sorted(FILTERS))})"
    for access in tree.find_all(nodes.Getattr):
        yield from _access_faults(access)
    for call in tree.find_all(nodes.Call):
        yield from _call_faults(call)


def _name_faults(name: str) -> Iterator[tuple[str, str]]:
    if name in _HANGS:
        yield f"`{name}`", _HANGS[name]
    elif name not in _KNOWN and name not in environment().globals:
        yield f"`{name}`", "compute it in the DAG file: macros of a DAG do not reach the triggerer"


def _access_faults(access: nodes.Getattr) -> Iterator[tuple[str, str]]:
    of_task = isinstance(access.node, nodes.Name) and access.node.name in _TASK_INSTANCE
    if of_task and access.attr.startswith(("get_", "previous_")):
        yield f"`ti.{access.attr}`", "ask for `worker=True`: the triggerer does not answer this"


def _call_faults(call: nodes.Call) -> Iterator[tuple[str, str]]:
    if not isinstance(call.node, nodes.Getattr) or call.node.attr not in {"xcom_pull", "axcom_pull"}:
        return
    indexes = next((word.value for word in call.kwargs if word.key == "map_indexes"), None)
    if indexes is None or (isinstance(indexes, nodes.Const) and indexes.value is None):
        yield "`xcom_pull` without map_indexes", "pass `upstream.output[...]`, or add map_indexes=-1"


def _render_text(text: str, context: Mapping[str, Any]) -> Any:  # noqa: ANN401 - what the expression gives
    if not _is_template(text):
        return text
    try:
        expression = _single_expression(text)
        if expression is None:
            return environment().from_string(text).render(context)
        value = environment().compile_expression(expression, undefined_to_none=False)(**context)
        if isinstance(value, jinja2.Undefined):
            str(value)
    except Exception as fault:
        raise TemplateError(f"cannot render {text!r}: {fault}") from fault
    return _plain(value)


def _single_expression(text: str) -> str | None:
    """Return the source of the expression where `text` is exactly one `{{ … }}`."""
    inner = text.strip()
    if not (inner.startswith("{{") and inner.endswith("}}")) or inner.count("{{") > 1 or "{%" in inner:
        return None
    return inner[2:-2].strip("-+ \n")


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """JSON stays what it is; a date, a proxy or an object becomes its text."""
    if value is None or type(value) in {bool, int, float, str}:
        return value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
