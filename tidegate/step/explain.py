"""The help of a step, made of its module's docstring and its settings."""

# ruff: noqa: ANN401

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tidegate.step.parameters import LIMITS, describe
from tidegate.step.secret import Secret, Secrets
from tidegate.step.settings import FALLBACK, FIXED, PREFIX, VARIABLE, Run, fields_of
from tidegate.step.urls import Input, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


def explain(step: str, module: ModuleType) -> str:
    """What `python -m jobs STEP --help` prints."""
    settings = module.Settings
    notes = _docstrings(settings)
    rows = [(*_described(field, kind), notes.get(field.name, "")) for field, kind in fields_of(settings)]
    body = "\n".join(line for row in rows for line in _entry(*row))
    usage = f"python -m jobs {step}\n\n{inspect.getdoc(module)}\n\nSettings, from the environment:\n"
    return f"{usage}{body}\n\n{CONTRACT}\n"


CONTRACT = """$TIDEGATE_RESULT names the file for the result (default /dev/termination-log).
Stores find their own credentials in the environment: AWS_*, AZURE_*.
Exit codes: 0 done, 2 bad settings or bad input, 75 try again later, anything else failed."""


def _described(field: dataclasses.Field[Any], kind: Any) -> tuple[str, str]:
    """The variable a field is read from, and what is wanted there."""
    sources = {
        Input: (f"$TIDEGATE_INPUTS.{field.name}", "a URL: s3://, abfss:// or file://"),
        Prefix: ("$TIDEGATE_OUTPUT", "the URL everything is written under"),
        Run: ("$TIDEGATE_RUN", "an object: dag_id, run_id, task_id, ..."),
        datetime: ("$TIDEGATE_RUN.logical_date", "ISO 8601 with its offset"),
        Secret: (f"${field.metadata.get(VARIABLE)}", "a secret"),
        Secrets: (f"${field.metadata.get(PREFIX)}*", "secrets; as many as there are"),
    }
    if kind is Secrets:
        return sources[kind]
    fallback, fixed = field.metadata.get(FALLBACK, ""), FIXED in field.metadata
    own = f"${fallback}" if fixed else f"$TIDEGATE_PARAMS.{field.name}"
    name, wanted = sources.get(kind) or (own, describe(kind, field.metadata.get(LIMITS)))
    otherwise = f"${fallback}, or else " if fallback and not fixed else ""
    return name, f"{wanted}; {otherwise}{_default(field)}"


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return f"default {json.dumps(field.default_factory(), ensure_ascii=False)}"
    if field.default is dataclasses.MISSING:
        return "required"
    return "optional" if field.default is None else f"default {json.dumps(field.default, ensure_ascii=False)}"


def _entry(name: str, wanted: str, note: str) -> Iterator[str]:
    yield f"  {name}  ({wanted})"
    yield from textwrap.wrap(" ".join(note.split()), 100, initial_indent="      ", subsequent_indent="      ")


def _docstrings(settings: type) -> dict[str, str]:
    """The docstring under each field, of the class and those it comes from."""
    notes: dict[str, str] = {}
    for base in reversed(settings.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for field, note in pairwise(statements):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                notes[field.target.id] = _text(note)
    return notes


def _text(node: ast.stmt) -> str:
    value = node.value if isinstance(node, ast.Expr) else None
    return str(value.value) if isinstance(value, ast.Constant) else ""
