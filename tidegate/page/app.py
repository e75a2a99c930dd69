"""The page: four addresses below where it is mounted, HTML made here, nothing fetched from elsewhere.

Reads: the ledger that `$AIRFLOW_CONN_ML_AIRFLOW` names. Only for those who are signed in to Airflow, and only what
belongs to DAGs they may read. Every value is escaped, and the browser is told to load and run nothing (CSP).
"""

# FastAPI reads the annotations of its functions when it is started.
# ruff: noqa: TC002, TC003

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BeforeValidator

from tidegate.ledger import BadAddress, Ledger, LedgerError, NoSuchRow
from tidegate.ledger.address import from_environment
from tidegate.ledger.verify import NoStores
from tidegate.page import look, plot
from tidegate.page.links import steps_namespace
from tidegate.page.plugin import MAP_INDEX

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}

LOST = {NoSuchRow: 404, BadAddress: 503}
"""What a fault of the ledger is in HTTP; any other means that it does not answer: 503."""

app = FastAPI(title="Tidegate's ledger", docs_url=None, redoc_url=None, openapi_url=None)


@cache
def templates() -> Environment:
    """The templates, with the filters they use."""
    made = Environment(loader=PackageLoader("tidegate.page"), autoescape=True, undefined=StrictUndefined)
    made.filters |= {"when": when, "seconds": seconds, "number": number, "mebibytes": mebibytes}
    made.globals |= {"width": plot.WIDTH, "height": plot.HEIGHT, "days": look.SAVED.days}
    made.globals |= {"steps_namespace": steps_namespace()}
    return made


@cache
def ledger() -> Ledger:
    """One per process, with its few connections."""
    return Ledger(from_environment(os.environ), probe=NoStores())


def readable(user: Annotated[BaseUser, Depends(get_user)]) -> frozenset[str]:
    """The pipelines that whoever asks may read; Airflow refuses who is not signed in."""
    return frozenset(get_auth_manager().get_authorized_dag_ids(user=user))


def index(text: str) -> int:
    """The UI leaves the name as it is where a task is not mapped (apache-airflow 3.3.2)."""
    return -1 if text in ("", MAP_INDEX) else int(text)


Readable = Annotated[frozenset[str], Depends(readable)]
MapIndex = Annotated[int, BeforeValidator(index)]


@app.get("/")
def tries(request: Request, mine: Readable, filters: Annotated[look.Filters, Depends()]) -> HTMLResponse:
    """What every try got, newest first."""
    return _page(request, "tries.html", lambda: look.tries(ledger(), filters, mine))


@app.get("/step/{name}")
def step(request: Request, name: str, mine: Readable, filters: Annotated[look.Filters, Depends()]) -> HTMLResponse:
    """A step's metrics over its runs."""
    return _page(request, "step.html", lambda: look.step(ledger(), name, filters, mine))


@app.get("/row/{number}")
def row(request: Request, number: int, mine: Readable) -> HTMLResponse:
    """All that is known of a row."""
    return _page(request, "row.html", lambda: look.row(ledger(), number, mine))


@app.get("/task")
def task(
    request: Request, mine: Readable, *, pipeline: str, run_id: str, task_id: str, map_index: MapIndex = -1
) -> HTMLResponse:
    """What the tries of a task instance got."""

    def found() -> Mapping[str, Any]:
        return look.task(
            ledger(), pipeline=pipeline, run_id=run_id, task_id=task_id, map_index=map_index, readable=mine
        )

    return _page(request, "task.html", found)


def _page(request: Request, template: str, data: Callable[[], Mapping[str, Any]]) -> HTMLResponse:
    """A page, or what the ledger has against it."""
    root, status = request.scope.get("root_path", "").rstrip("/"), 200
    try:
        values = data()
    except LedgerError as error:
        status = LOST.get(type(error), 503)
        template, values = "fault.html", {"fault": str(error)}
    return HTMLResponse(templates().get_template(template).render(**values, root=root), status, HEADERS)


def when(moment: datetime | None) -> str:
    """UTC to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""


def seconds(value: float | None) -> str:
    """A duration in two units at most."""
    if value is None:
        return ""
    minutes, rest = divmod(round(value), 60)
    if minutes == 0:
        return f"{value:.1f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def mebibytes(value: int | None) -> str:
    """Memory, as people set its limit."""
    return "" if value is None else f"{value / 2**20:.1f} MiB"


def number(value: float) -> str:
    """Six digits."""
    return f"{value:.6g}"
