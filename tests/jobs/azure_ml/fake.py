"""The stand-in of Entra and Azure Machine Learning as a process, with what a test tells it and asks it."""

from __future__ import annotations

import datetime as dt
import http.client
import ipaddress
import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.jobs.servers import ACCOUNT, azurite, running, storage_key
from tests.jobs.weather import Admin
from tests.ports import free_port
from tidegate.cluster.project import STANDINS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "aml/client+secret=odd&0123456789"
SUBSCRIPTION = "00000000-0000-0000-0000-00000000aaaa"
TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
SUFFIX = "azure-ml.test"
"""Of the storage account's host: no name that exists; see `hosts/sitecustomize.py`."""


@dataclass(frozen=True)
class Fake:
    """One that runs."""

    url: str
    admin: Admin
    ca: str
    log: Path
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
        found = [(one["method"], one["path"]) for one in self._ask("GET", "asked")["asked"]]
        return [f"{verb} {path}" for verb, path in found if method in ("", verb) and part in path.lower()]

    def sign_ins(self) -> list[str]:
        """How tokens were asked for."""
        return [one["signed_in_by"] for one in self._ask("GET", "asked")["asked"] if "signed_in_by" in one]

    def jobs(self) -> dict[str, str]:
        """State of every job by its name."""
        runs: dict[str, str] = self._ask("GET", "runs")["runs"]
        return {path.rpartition("/")[2]: state for path, state in runs.items()}

    def wait_for_job(self, state: str, *, seconds: float = 30) -> str:
        """The name of the first job in that state, once there is one."""
        deadline = time.monotonic() + seconds
        while not (found := [name for name, now in self.jobs().items() if now == state]):
            assert time.monotonic() < deadline, f"no job was {state} within {seconds} s: {self.jobs()}"
            time.sleep(0.05)
        return found[0]

    def forget(self) -> None:
        """Nothing is there, nothing was asked, nothing goes wrong."""
        self._ask("DELETE", "world")
        self.admin.forget()

    def _ask(self, method: str, what: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self.admin.address, timeout=10)
        try:
            connection.request(method, f"/{what}")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found
        finally:
            connection.close()


@contextmanager
def azure_ml_api(folder: Path) -> Iterator[Fake]:
    """Run it, before an Azurite of its own, until the block ends."""
    port, admin = free_port(), free_port()
    certificate, key = _certificate(folder)
    account_key = storage_key()
    with azurite(folder, account_key, port=free_port()) as blobs:
        own = {
            "AZURE_ML_API_LISTEN": f"127.0.0.1:{port}",
            "AZURE_ML_API_ADMIN": f"127.0.0.1:{admin}",
            "AZURE_ML_API_URL": f"https://localhost:{port}",
            "AZURE_ML_API_CERTIFICATE": str(certificate),
            "AZURE_ML_API_PRIVATE_KEY": str(key),
            "AZURE_ML_API_CLIENT_SECRET": SECRET,
            "AZURE_ML_API_STORAGE_SUFFIX": f"{SUFFIX}:{port}",
            "AZURITE_URL": blobs,
            "AZURITE_ACCOUNT": ACCOUNT,
            "AZURITE_KEY": account_key,
            "PYTHONPATH": os.pathsep.join([str(STANDINS / "azure_ml_api"), str(STANDINS)]),
        }
        log = folder / "azure_ml_api.log"
        with running([sys.executable, "-m", "azure_ml_api"], port=port, log=log, environment=own):
            yield Fake(f"https://localhost:{port}", Admin(f"127.0.0.1:{admin}"), certificate.read_text(), log)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that is its own authority, for localhost and for the storage account's host."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake")])
    now = dt.datetime.now(dt.UTC)
    hosts = [x509.DNSName("localhost"), x509.DNSName(f"{ACCOUNT}.blob.{SUFFIX}")]
    hosts.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))  # type: ignore[arg-type]
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    signed = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(
        key, hashes.SHA256()
    )
    paths = folder / "cert.pem", folder / "key.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    paths[0].write_bytes(signed.public_bytes(pem))
    paths[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return paths
