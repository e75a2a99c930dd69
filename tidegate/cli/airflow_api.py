"""Airflow's REST API v2, as much of it as Tidegate's commands use.

Reads: the api-server through a port-forward, the admin account from its Secret. Writes: runs and the paused flag.
Again: a dropped forward, a restarting server and an expired token are mended and the call repeated until its deadline.
"""

from __future__ import annotations

import json
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from tidegate.cli.fault import Fault
from tidegate.cli.port_forward import STARTS_WITHIN, Forward, forward

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.cli.kubectl import Kubectl

SERVICE, PORT = "airflow-api-server", 8080
ADMIN_SECRET = "airflow-admin"  # noqa: S105 - the name of a Secret
TRY_AGAIN = (429, 502, 503, 504)
ANSWERS_WITHIN = 180.0
"""Seconds one call may take in all, repeats included; a starting server needs about a minute on two cores."""


@dataclass
class Airflow:
    """Calls to one server, signed in as the admin. All of them raise `Fault` with the server's own words."""

    way: Forward
    user: str
    password: str = field(repr=False)
    patience: float = ANSWERS_WITHIN
    """Seconds one call may take in all."""
    token: str = field(default="", repr=False)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30, trust_env=False), repr=False)

    def call(self, method: str, path: str, *, missing_ok: bool = False, **options: Any) -> httpx.Response:  # noqa: ANN401
        """One request under /api/v2; with `missing_ok` a 404 is an answer too."""
        deadline = time.monotonic() + self.patience
        while True:
            try:
                answer = self._once(method, path, **options)
            except httpx.TransportError as error:
                fault = f"{type(error).__name__}: {error}"
            else:
                if answer.is_success or (missing_ok and answer.status_code == httpx.codes.NOT_FOUND):
                    return answer
                fault = f"{answer.status_code} {answer.text[:500]}"
                if answer.status_code not in TRY_AGAIN:
                    msg = f"Airflow refused {method} {path}: {fault}"
                    raise Fault(msg)
            if time.monotonic() > deadline:
                msg = f"Airflow did not answer {method} {path} within {self.patience:.0f} s: {fault}"
                raise Fault(msg)
            time.sleep(1)

    def _once(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        self.way.ensure()
        if not self.token:
            self._sign_in()
        answer = self._send(method, path, **options)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._sign_in()
            answer = self._send(method, path, **options)
        return answer

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        headers = {"Accept": "application/json", "Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return self.client.request(method, f"http://{self.way.address}/api/v2/{path}", headers=headers, **options)

    def _sign_in(self) -> None:
        body = {"username": self.user, "password": self.password}
        answer = self.client.post(f"http://{self.way.address}/auth/token", json=body)
        if answer.status_code in TRY_AGAIN:
            raise httpx.ConnectError(str(answer.status_code))
        if not answer.is_success:
            msg = f"Airflow refuses the account of Secret {ADMIN_SECRET}: {answer.status_code} {answer.text[:200]}"
            raise Fault(msg)
        self.token = answer.json()["access_token"]

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """What Airflow knows of a DAG, or nothing."""
        answer = self.call("GET", f"dags/{dag_id}", missing_ok=True)
        return dict(answer.json()) if answer.is_success else None

    def dag_ids(self) -> list[str]:
        """Every DAG that Airflow knows, in order."""
        found = self.call("GET", "dags", params={"limit": 1000}).json()["dags"]
        return sorted(dag["dag_id"] for dag in found)

    def source(self, dag_id: str) -> str | None:
        """The text of the file that the newest version of a DAG was read from."""
        answer = self.call("GET", f"dagSources/{dag_id}", missing_ok=True, headers={"Accept": "text/plain"})
        return answer.text if answer.is_success else None

    def import_errors(self) -> list[dict[str, Any]]:
        """DAG files that could not be read: `filename`, `stack_trace`."""
        return list(self.call("GET", "importErrors").json()["import_errors"])

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run."""
        self.call("PATCH", f"dags/{dag_id}", json={"is_paused": False})

    def trigger(
        self, dag_id: str, *, conf: dict[str, Any] | None = None, logical_date: datetime | None = None, run_id: str = ""
    ) -> str:
        """Start a run and return its id. A given `run_id` makes the call safe to repeat, in another process too."""
        if run_id and self.run(dag_id, run_id):
            return run_id
        name = run_id or f"manual__{datetime.now(UTC).isoformat()}_{secrets.token_hex(3)}"
        body = {"logical_date": logical_date.isoformat() if logical_date else None, "conf": conf or {}}
        try:
            self.call("POST", f"dags/{dag_id}/dagRuns", json=body | {"dag_run_id": name})
        except Fault:
            # an answer that was lost on its way has the request repeated, and the run is there already
            if not self.run(dag_id, name):
                raise
        return name

    def run(self, dag_id: str, run_id: str) -> dict[str, Any] | None:
        """State and dates of a run, or nothing."""
        answer = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}", missing_ok=True)
        return dict(answer.json()) if answer.is_success else None

    def runs(self, dag_id: str, *, limit: int = 5) -> list[dict[str, Any]]:
        """The newest runs of a DAG, newest first."""
        answer = self.call("GET", f"dags/{dag_id}/dagRuns", params={"limit": limit, "order_by": "-run_after"})
        return list(answer.json()["dag_runs"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run, those that started first in front."""
        answer = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        found: list[dict[str, Any]] = answer.json()["task_instances"]
        return sorted(found, key=lambda task: (task["start_date"] or "9", task["task_id"]))

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, key: str = "return_value") -> Any:  # noqa: ANN401
        """A value that a task left, or None."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        answer = self.call("GET", path, missing_ok=True)
        value = answer.json()["value"] if answer.is_success else None
        return _decoded(value) if isinstance(value, str) else value

    def log(self, dag_id: str, run_id: str, task_id: str, *, attempt: int = 1, index: int = -1) -> list[str]:
        """The lines of a task's log; `index` is that of an instance of a mapped task."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        options = {"full_content": "true", "map_index": index}
        content = self.call("GET", path, params=options).json()["content"]
        return [_line(entry) for entry in content]


def _decoded(value: str) -> Any:  # noqa: ANN401
    """Airflow stores a value as JSON text; text that is none is itself."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _line(entry: dict[str, Any] | str) -> str:
    """One line of a log, with its time and level, and what went wrong where it says so."""
    if isinstance(entry, str):
        return entry
    head = " ".join(str(entry[key]) for key in ("timestamp", "level") if entry.get(key))
    faults = [f"{fault.get('exc_type')}: {fault.get('exc_value')}" for fault in entry.get("error_detail") or []]
    return " ".join([head, str(entry.get("event", "")), *faults]).strip()


@contextmanager
def airflow(kubectl: Kubectl, *, patience: float = ANSWERS_WITHIN) -> Iterator[Airflow]:
    """The installed Airflow, signed in as the admin, while the block runs."""
    account = kubectl.secret(ADMIN_SECRET)
    with forward(kubectl, SERVICE, PORT, within=min(patience, STARTS_WITHIN)) as way:
        api = Airflow(way, account["username"], account["password"], patience)
        try:
            yield api
        finally:
            api.client.close()
