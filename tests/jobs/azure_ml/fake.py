"""The stand-in of Entra and Azure Machine Learning as a process, with what a test tells it and asks it."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.jobs.entra import CLIENT, SECRET, TENANT, certificate, issuer_file
from tests.jobs.servers import ACCOUNT, azurite, running, storage_key
from tests.jobs.weather import Admin
from tests.ports import free_port
from tidegate.cluster.project import STANDINS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUBSCRIPTION = "00000000-0000-0000-0000-00000000aaaa"
SUFFIX = "azure-ml.test"
"""Of the storage account's host: no name that exists; see `hosts/sitecustomize.py`."""


@dataclass(frozen=True)
class Fake:
    """One that runs."""

    url: str
    admin: Admin
    ca: str
    log: Path
    machine: str
    """Where a machine's metadata endpoint is: http://host:port."""
    secret: str = field(default=SECRET, repr=False)

    def environment(self, workspace: str = "ws", **more: str) -> dict[str, str]:
        """What a step is given to reach it, as a connection's Secret gives it."""
        return {
            "AZURE_ML_SUBSCRIPTION_ID": SUBSCRIPTION,
            "AZURE_ML_RESOURCE_GROUP": "rg",
            "AZURE_ML_WORKSPACE": workspace,
            "AZURE_ML_TENANT_ID": TENANT,
            "AZURE_ML_CLIENT_ID": CLIENT,
            "AZURE_ML_CLIENT_SECRET": self.secret,
            "AZURE_ML_RESOURCE_MANAGER": self.url,
            "AZURE_ML_CA": self.ca,
            "AZURE_ML_POLL_SECONDS": "0.05",
            "AZURE_ML_SHOW_LOGS": "false",
        } | more

    def asked(self, method: str = "", part: str = "") -> list[str]:
        """`METHOD path` of what was asked, in order; of one method, and with a part in the path, in small letters."""
        found = [(one["method"], one["path"]) for one in self.admin.ask("GET", "asked")["asked"]]
        return [f"{verb} {path}" for verb, path in found if method in ("", verb) and part in path.lower()]

    def sign_ins(self) -> list[str]:
        """How tokens were asked for."""
        return [one["by"] for one in self.admin.ask("GET", "signed_in")["signed_in"]]

    def jobs(self) -> dict[str, str]:
        """State of every job by its name."""
        runs: dict[str, str] = self.admin.ask("GET", "runs")["runs"]
        return {path.rpartition("/")[2]: state for path, state in runs.items()}

    def resource(self, name: str) -> dict[str, Any]:
        """What was sent for the resource of that name."""
        there: dict[str, dict[str, Any]] = self.admin.ask("GET", "resources")["resources"]
        (found,) = [document for document in there.values() if document["name"] == name]
        properties: dict[str, Any] = found["properties"]
        return properties

    def wait_for_job(self, state: str, *, seconds: float = 30) -> str:
        """The name of the first job in that state, once there is one."""
        deadline = time.monotonic() + seconds
        while not (found := [name for name, now in self.jobs().items() if now == state]):
            assert time.monotonic() < deadline, f"no job was {state} within {seconds} s: {self.jobs()}"
            time.sleep(0.05)
        return found[0]

    def forget_calls(self) -> None:
        """Nothing was asked, no job is there, nothing goes wrong; what else is there stays."""
        self.admin.ask("DELETE", "calls")
        self.admin.forget()

    def forget(self) -> None:
        """Nothing is there, nothing was asked, nothing goes wrong."""
        self.admin.ask("DELETE", "world")
        self.admin.forget()


@contextmanager
def azure_ml_api(folder: Path) -> Iterator[Fake]:
    """Run it, before an Azurite of its own, until the block ends."""
    port, admin, machine = free_port(), free_port(), free_port()
    shown, key = certificate(folder, f"{ACCOUNT}.blob.{SUFFIX}")
    account_key = storage_key()
    with azurite(folder, account_key, port=free_port(), in_memory=True) as blobs:
        own = {
            "AZURE_ML_API_LISTEN": f"127.0.0.1:{port}",
            "AZURE_ML_API_ADMIN": f"127.0.0.1:{admin}",
            "AZURE_ML_API_URL": f"https://localhost:{port}",
            "AZURE_ML_API_CERTIFICATE": str(shown),
            "AZURE_ML_API_PRIVATE_KEY": str(key),
            "AZURE_ML_API_CLIENT_SECRET": SECRET,
            "AZURE_ML_API_STORAGE_SUFFIX": f"{SUFFIX}:{port}",
            "AZURE_ML_API_ISSUER": str(issuer_file(folder)),
            "AZURE_ML_API_MACHINE": f"127.0.0.1:{machine}",
            "AZURITE_URL": blobs,
            "AZURITE_ACCOUNT": ACCOUNT,
            "AZURITE_KEY": account_key,
            "PYTHONPATH": os.pathsep.join([str(STANDINS / "azure_ml_api"), str(STANDINS)]),
        }
        log = folder / "azure_ml_api.log"
        with running([sys.executable, "-m", "azure_ml_api"], port=port, log=log, environment=own):
            own = Admin(f"127.0.0.1:{admin}")
            yield Fake(f"https://localhost:{port}", own, shown.read_text(), log, f"http://127.0.0.1:{machine}")
