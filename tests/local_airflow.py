"""A real Airflow of its own on loopback: scheduler, DAG processor, API server, one or two triggerers, or fewer of them.

Everything lives in one folder and ends with it. DAG files are written into `dags`, plugins into `plugins`; runs are
started and read through REST API v2 and the metadata database. Who signs in is `USER`, who may do everything.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
from psycopg.rows import dict_row

from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 300
SIMPLE = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager"
COMPONENTS = ("dag-processor", "scheduler", "triggerer", "api-server")
USER = "ada"
LINES = """
import sys
from airflow.__main__ import main
for line in sys.argv[1:]:
    sys.argv = ["airflow", *line.split()]
    main()
"""


class LocalAirflow:
    """The components of Airflow as processes. `start` and `kill` them by name.

    Without a DAG processor the DAG files are read once, at the start.
    """

    def __init__(
        self, folder: Path, *, database: str, environment: Mapping[str, str], components: Sequence[str] = COMPONENTS
    ) -> None:
        self.folder, self._database, self._components = folder, database, components
        self.dags, self.plugins, self.logs = folder / "dags", folder / "plugins", folder / "logs"
        for made in (self.dags, self.plugins):
            made.mkdir(parents=True)
        self.password = secrets.token_urlsafe(12)
        (folder / "passwords.json").write_text(json.dumps({USER: self.password}))
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._environment = {**os.environ, **self._settings(), **environment}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def _settings(self) -> dict[str, str]:
        secret = uuid.uuid4().hex
        return {
            "AIRFLOW_HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self._database.replace("postgresql", "postgresql+psycopg2"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.plugins),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.folder / "passwords.json"),
            "AIRFLOW__CORE__AUTH_MANAGER": f"{SIMPLE}.SimpleAuthManager",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__PORT": str(self._port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secret,
            "AIRFLOW__API_AUTH__JWT_SECRET": secret,
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3",
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "180",
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.logs),
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        }

    def __enter__(self) -> LocalAirflow:
        try:
            read_once = [] if "dag-processor" in self._components else ["dags reserialize"]
            self.airflow("db migrate", *read_once)
            for name in self._components:
                self.start(name)
            self.wait("the API server", self._answers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._processes):
            self.kill(name)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/v2/version", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def airflow(self, *lines: str) -> None:
        """Run lines of Airflow's command line to their end, in one process: it takes seconds to load."""
        answer = subprocess.run(
            [sys.executable, "-c", LINES, *lines],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        assert answer.returncode == 0, f"airflow {', '.join(lines)}: {answer.stdout[-2000:]} {answer.stderr[-3000:]}"

    def start(self, name: str, *, number: int = 1) -> None:
        """Start a component; several of one kind by number."""
        key = f"{name}-{number}"
        port = {"AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port())}
        module = ["tidegate.airflow.triggerer"] if name == "triggerer" else ["airflow", name]
        with (self.folder / f"{key}.log").open("ab") as log:
            self._processes[key] = subprocess.Popen(
                [sys.executable, "-m", *module],
                env={**self._environment, **port},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, key: str) -> None:
        """End a component with all its processes (`triggerer-1`), as a machine that fails would."""
        process = self._processes.pop(key)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def freeze(self, key: str, *, thaw: bool = False) -> None:
        """Stop a component's processes as a machine that hangs would; let them go on with `thaw`."""
        os.killpg(self._processes[key].pid, signal.SIGCONT if thaw else signal.SIGSTOP)

    def trigger(self, dag_id: str, *, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run, return its id."""
        run_id = f"run-{uuid.uuid4().hex[:8]}"
        self.rest("PATCH", f"dags/{dag_id}", {"is_paused": False})
        self.rest("POST", f"dags/{dag_id}/dagRuns", {"dag_run_id": run_id, "conf": conf or {}, "logical_date": None})
        return run_id

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        """One call of REST API v2."""
        known = {"username": USER, "password": self.password}
        token = httpx.post(f"{self.url}/auth/token", json=known, timeout=30).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.request(method, f"{self.url}/api/v2/{path}", json=body, headers=headers, timeout=30)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def query(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Ask the metadata database."""
        with psycopg.connect(self._database, row_factory=dict_row) as connection:
            return list(connection.execute(sql, values))  # type: ignore[arg-type]

    def tasks(self, run_id: str) -> dict[tuple[str, int], dict[str, Any]]:
        """Task instances of a run by task id and map index."""
        rows = self.query("SELECT * FROM task_instance WHERE run_id=%s", run_id)
        return {(row["task_id"], row["map_index"]): row for row in rows}

    def state(self, run_id: str) -> str:
        return str(self.query("SELECT state FROM dag_run WHERE run_id=%s", run_id)[0]["state"])

    def xcom(self, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """The JSON value in the database, as a reader of it finds it."""
        sql = "SELECT value FROM xcom WHERE run_id=%s AND task_id=%s AND key=%s AND map_index=%s"
        rows = self.query(sql, run_id, task_id, key, map_index)
        return rows[0]["value"] if rows else None

    def wait(self, what: str, condition: Callable[[], bool], *, seconds: float = START_SECONDS) -> None:
        """Wait for something, or say what everything looked like."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if condition():
                return
            time.sleep(0.2)
        ends = {path.name: path.read_text(errors="replace")[-1500:] for path in self.folder.glob("*.log")}
        states = self.query("SELECT task_id, map_index, state, try_number, hostname FROM task_instance")
        faults = self.query("SELECT filename, stacktrace FROM import_error")
        raise AssertionError(f"waited {seconds:.0f} s for {what}; {states} {faults} {ends}")

    def finish(self, run_id: str, *, seconds: float = START_SECONDS) -> str:
        """Wait for the end of a run, return its state."""
        self.wait(f"the end of {run_id}", lambda: self.state(run_id) in {"success", "failed"}, seconds=seconds)
        return self.state(run_id)

    def task_log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Everything that was written to the task's log, by whatever process."""
        folder = self.logs / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        return "\n".join(path.read_text() for path in sorted(folder.rglob("*.log*")))
