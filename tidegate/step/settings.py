"""A step's settings: one frozen dataclass, filled from the environment, all faults told at once.

Reads: TIDEGATE_PARAMS, TIDEGATE_INPUTS, TIDEGATE_OUTPUT, TIDEGATE_RUN, and one variable for each secret.
A field's type says where it comes from: `Input` from the inputs, `Prefix` the output, `Run` the run, `datetime` the
run's logical date in UTC, `Secret` its own variable, `Secrets` all variables that begin alike, and everything else a
parameter, which may have a variable of its own to fall back on. The docstring under a field is its help.
"""

# Values and clients have no types before they are looked at; clients are imported when used.
# ruff: noqa: ANN401

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from tidegate.step.errors import BadInput, BadSettings
from tidegate.step.parameters import LIMITS, Limits, convert
from tidegate.step.secret import Secret, Secrets
from tidegate.step.urls import Input, Prefix, split

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "variable"
"""Where a secret's field keeps the name of its variable."""

PREFIX = "prefix"
"""Where a field of several secrets keeps how their variables begin."""

FALLBACK = "fallback"
"""Where a parameter's field keeps the variable that holds its value where no run gives one."""

FIXED = "fixed"
"""Set where no run may give a value: the variable alone does."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Run:
    """Which task try this is, from `$TIDEGATE_RUN`; all but the date are for messages."""

    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    map_index: int = -1
    try_number: int = 1
    logical_date: str = ""
    """ISO 8601 with offset: Airflow's logical date, or its run_after where a run has none."""
    ledger_key: str = ""


def param(default: Any = dataclasses.MISSING, *, variable: str = "", **limits: Any) -> Any:
    """A parameter with `default`; `limits` are those of `Limits`: at_least, at_most, above, below, choices.

    Where a run gives none, `variable` holds it: text, or JSON for lists and objects.
    """
    return _field(default, {LIMITS: Limits(**limits), FALLBACK: variable})


def setting(variable: str, default: Any = dataclasses.MISSING, **limits: Any) -> Any:
    """What the platform says and no run may change: like a parameter, but from the environment's `variable` alone."""
    return _field(default, {LIMITS: Limits(**limits), FALLBACK: variable, FIXED: True})


def _field(default: Any, metadata: dict[str, Any]) -> Any:
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def secret(variable: str, *, optional: bool = False) -> Any:
    """A secret from the environment variable of that name; an optional one is None where it is not set."""
    default: Any = None if optional else dataclasses.MISSING
    return dataclasses.field(default=default, metadata={VARIABLE: variable})


def secrets(prefix: str) -> Any:
    """All secrets whose variables begin with `prefix`, by the name of the variable; there may be none."""
    return dataclasses.field(metadata={PREFIX: prefix})


def read(settings: type[T], environ: Mapping[str, str]) -> T:
    """Fill `settings` from `environ`; BadSettings has a line for every fault."""
    reader = _Reader(environ)
    values = {field.name: reader.value(field, kind) for field, kind in fields_of(settings)}
    reader.refuse_unknown(settings)
    if reader.faults:
        raise BadSettings(*reader.faults)
    return settings(**{name: value for name, value in values.items() if value is not dataclasses.MISSING})


def fields_of(settings: type) -> tuple[tuple[dataclasses.Field[Any], Any], ...]:
    """The fields of a settings class, each with its type; `X | None` counts as X."""
    hints = get_type_hints(settings)
    return tuple((field, _without_none(hints[field.name])) for field in dataclasses.fields(settings))


def secrets_of(settings: type, environ: Mapping[str, str]) -> set[str]:
    """The names of the variables that hold secrets."""
    fields = dataclasses.fields(settings)
    prefixes = tuple(field.metadata[PREFIX] for field in fields if PREFIX in field.metadata)
    named = {field.metadata[VARIABLE] for field in fields if VARIABLE in field.metadata}
    return named | {name for name in environ if name.startswith(prefixes)}


def is_param(field: dataclasses.Field[Any], kind: Any) -> bool:
    """Whether a run may give the field's value in `$TIDEGATE_PARAMS`."""
    return kind not in (Input, Prefix, Run, Secret, Secrets, datetime) and FIXED not in field.metadata


def _without_none(hint: Any) -> Any:
    parts = [part for part in getattr(hint, "__args__", ()) if part is not type(None)]
    return parts[0] if type(None) in getattr(hint, "__args__", ()) and len(parts) == 1 else hint


class _Reader:
    """Takes values out of the environment and remembers every fault it meets."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []
        self._params = self._object("TIDEGATE_PARAMS")
        self._inputs = self._object("TIDEGATE_INPUTS")
        self._run = self._object("TIDEGATE_RUN")

    def value(self, field: dataclasses.Field[Any], kind: Any) -> Any:
        """The value of one field; MISSING where its default holds, or where a fault was found."""
        sources = {Input: self._input, Prefix: self._prefix, Run: self._run_of, Secret: self._secret}
        sources[Secrets] = self._secrets
        source = sources.get(kind, self._date if kind is datetime else self._param)
        try:
            return source(field, kind)
        except BadInput as fault:
            self.faults.extend(str(fault).splitlines())
            return dataclasses.MISSING

    def refuse_unknown(self, settings: type) -> None:
        """A misspelt name must not be passed over in silence."""
        known = fields_of(settings)
        inputs = sorted(field.name for field, kind in known if kind is Input)
        params = sorted(field.name for field, kind in known if is_param(field, kind))
        for variable, given, names in (
            ("TIDEGATE_PARAMS", self._params, params),
            ("TIDEGATE_INPUTS", self._inputs, inputs),
        ):
            wanted = ", ".join(names) or "none"
            self.faults += [f"${variable} has {name!r}, want {wanted}" for name in sorted(given) if name not in names]

    def _object(self, variable: str) -> dict[str, Any]:
        try:
            value = json.loads(self._environ.get(variable) or "{}")
        except json.JSONDecodeError as error:
            self.faults.append(f"${variable} is not JSON: {error}")
            return {}
        if not isinstance(value, dict):
            self.faults.append(f"${variable} is {json.dumps(value)}; want a JSON object")
            return {}
        return value

    def _input(self, field: dataclasses.Field[Any], _: Any) -> Any:
        url = self._inputs.get(field.name)
        if url is None and _has_default(field):
            return dataclasses.MISSING
        return Input(_url(f"$TIDEGATE_INPUTS.{field.name}", url))

    def _prefix(self, field: dataclasses.Field[Any], _: Any) -> Any:
        url = self._environ.get("TIDEGATE_OUTPUT") or None
        if url is None and _has_default(field):
            return dataclasses.MISSING
        return Prefix(_url("$TIDEGATE_OUTPUT", url))

    def _run_of(self, _: dataclasses.Field[Any], __: Any) -> Run:
        names = {field.name for field in dataclasses.fields(Run)}
        return Run(**{name: value for name, value in self._run.items() if name in names and value is not None})

    def _date(self, field: dataclasses.Field[Any], _: Any) -> Any:
        text = self._run.get("logical_date")
        if not text and _has_default(field):
            return dataclasses.MISSING
        return _utc(text)

    def _secret(self, field: dataclasses.Field[Any], _: Any) -> Any:
        variable = field.metadata[VARIABLE]
        if value := self._environ.get(variable):
            return Secret(value)
        if _has_default(field):
            return dataclasses.MISSING
        raise BadSettings(f"${variable} is not set; want a secret, from the step's own Kubernetes Secret")

    def _secrets(self, field: dataclasses.Field[Any], _: Any) -> Secrets:
        prefix = field.metadata[PREFIX]
        return Secrets((name, Secret(text)) for name, text in self._environ.items() if name.startswith(prefix) and text)

    def _param(self, field: dataclasses.Field[Any], kind: Any) -> Any:
        limits, variable = field.metadata.get(LIMITS), field.metadata.get(FALLBACK, "")
        fixed = FIXED in field.metadata
        if field.name in self._params and not fixed:
            return convert(f"$TIDEGATE_PARAMS.{field.name}", self._params[field.name], kind, limits)
        if text := self._environ.get(variable):
            return convert(f"${variable}", text, kind, limits)
        if _has_default(field):
            return dataclasses.MISSING
        return convert(f"${variable}" if fixed else f"$TIDEGATE_PARAMS.{field.name}", None, kind, limits)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _url(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise BadSettings(f"{name} is not set; want a URL, s3://, abfss:// or file://")
    try:
        split(value)
    except BadInput as error:
        raise BadSettings(f"{name}: {error}") from None
    return value


def _utc(value: object) -> datetime:
    wanted = "want a date in ISO 8601 with its offset, like 2026-01-31T13:00:00+00:00"
    if not value:
        raise BadSettings(f"$TIDEGATE_RUN.logical_date is not set; {wanted}")
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise BadSettings(f"$TIDEGATE_RUN.logical_date is {value!r}; {wanted}") from None
    if moment.tzinfo is None:
        raise BadSettings(f"$TIDEGATE_RUN.logical_date is {value!r}, without an offset; {wanted}")
    return moment.astimezone(UTC)
