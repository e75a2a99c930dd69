"""What tests sign in with: certificates of servers, federated tokens as service accounts have, and an Entra."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import os
import ssl
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.jobs.servers import ACCOUNT, BUCKET, Server, running
from tests.jobs.weather import Admin
from tests.ports import free_port
from tidegate.cluster.project import STANDINS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "aml/client+secret=odd&0123456789"
TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
SUBJECT = "system:serviceaccount:steps:fetch-weather"


@cache
def issuer() -> rsa.RSAPrivateKey:
    """What the cluster signs tokens of service accounts with, which Entra trusts; the same for all tests."""
    return rsa.generate_private_key(65537, 2048)


def federated(*, key: rsa.RSAPrivateKey | None = None, seconds: int = 600, **claims: Any) -> str:
    """A service account's token, as the webhook of workload identities puts it into a pod."""
    now = int(time.time())
    own = {"aud": "api://AzureADTokenExchange", "iss": "https://cluster", "sub": SUBJECT, "iat": now}
    return jwt.encode({**own, "exp": now + seconds, **claims}, key or issuer(), algorithm="RS256")


def issuer_file(folder: Path) -> Path:
    """The issuer's public key, in PEM."""
    path = folder / "issuer.pem"
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(issuer().public_key().public_bytes(encoding, form))
    return path


def certificate(folder: Path, *hosts: str) -> tuple[Path, Path]:
    """A certificate that is its own authority, for localhost and these hosts, and its key; both in PEM files."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake")])
    now = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in ("localhost", *hosts)]
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(
        key, hashes.SHA256()
    )
    paths = folder / "cert.pem", folder / "key.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    paths[0].write_bytes(signed.public_bytes(pem))
    paths[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return paths


@dataclass(frozen=True)
class Tenant:
    """An Entra that runs."""

    url: str
    admin: Admin
    certificate: Path
    private_key: Path
    secret: str = field(default=SECRET, repr=False)

    def signed_in(self) -> list[dict[str, str]]:
        """Every attempt: by what, as which client, for what."""
        found: list[dict[str, str]] = self.admin.ask("GET", "signed_in")["signed_in"]
        return found

    def token(self, audience: str) -> str:
        """One for a service of Azure."""
        form = {"client_id": CLIENT, "client_secret": self.secret, "scope": f"{audience}/.default"}
        context = ssl.create_default_context(cafile=str(self.certificate))
        url, body = f"{self.url}/{TENANT}/oauth2/v2.0/token", urlencode(form).encode()
        with urllib.request.urlopen(url, body, timeout=10, context=context) as answer:  # noqa: S310
            return str(json.load(answer)["access_token"])

    def forget(self) -> None:
        """No attempt, no fault."""
        self.admin.ask("DELETE", "signed_in")
        self.admin.forget()


@contextmanager
def entra(folder: Path) -> Iterator[Tenant]:
    """Run Entra alone until the block ends."""
    port, admin = free_port(), free_port()
    shown, key = certificate(folder)
    own = {
        "ENTRA_LISTEN": f"127.0.0.1:{port}",
        "ENTRA_ADMIN": f"127.0.0.1:{admin}",
        "ENTRA_URL": f"https://localhost:{port}",
        "ENTRA_CERTIFICATE": str(shown),
        "ENTRA_PRIVATE_KEY": str(key),
        "ENTRA_CLIENT_SECRET": SECRET,
        "ENTRA_ISSUER": str(issuer_file(folder)),
        "PYTHONPATH": str(STANDINS),
    }
    with running([sys.executable, "-m", "entra"], port=port, log=folder / "entra.log", environment=own):
        yield Tenant(f"https://localhost:{port}", Admin(f"127.0.0.1:{admin}"), shown, key)


@contextmanager
def datalake_by_token(folder: Path, behind: Server, tenant: Tenant) -> Iterator[Server]:
    """A second translator before the Azurite of the first: over TLS, and with an Entra that it trusts."""
    port, admin = free_port(), free_port()
    own = {
        "DATALAKE_ACCOUNT": ACCOUNT,
        "DATALAKE_KEY": behind.extra["key"],
        "AZURITE_URL": behind.extra["blobs"],
        "DATALAKE_LISTEN": f"127.0.0.1:{port}",
        "DATALAKE_ADMIN": f"127.0.0.1:{admin}",
        "DATALAKE_CERTIFICATE": str(tenant.certificate),
        "DATALAKE_PRIVATE_KEY": str(tenant.private_key),
        "DATALAKE_ENTRA_URL": tenant.url,
        "DATALAKE_ENTRA_CA": str(tenant.certificate),
        "PYTHONPATH": os.pathsep.join([str(STANDINS / "datalake"), str(STANDINS)]),
    }
    environment = {
        "TIDEGATE_ABFSS_ENDPOINT": f"https://localhost:{port}",
        "AZURE_AUTHORITY_HOST": tenant.url,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": CLIENT,
        "REQUESTS_CA_BUNDLE": str(tenant.certificate),
        "SSL_CERT_FILE": str(tenant.certificate),
    }
    log = folder / "lake.log"
    with running([sys.executable, "-m", "datalake"], port=port, log=log, environment=own):
        extra = {"admin": f"127.0.0.1:{admin}", "log": str(log), "key": behind.extra["key"]}
        yield Server(f"abfss://{BUCKET}@{ACCOUNT}", environment, f"localhost:{port}", extra)
