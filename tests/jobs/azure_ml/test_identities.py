"""Every way to sign in, by azure-identity's own classes against Entra and a machine's metadata endpoint, with TLS."""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.jobs.azure_ml.specs import COMMAND, FILES
from tests.jobs.entra import CLIENT, TENANT, federated
from tidegate.step import AccessDenied, BadSettings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.azure_ml.conftest import Step
    from tests.jobs.azure_ml.fake import Fake

NO_SECRET = {"AZURE_ML_TENANT_ID": "", "AZURE_ML_CLIENT_ID": "", "AZURE_ML_CLIENT_SECRET": ""}
"""What a connection leaves out that signs in by the pod's identity."""
WEBHOOK = "33333333-3333-3333-3333-333333333333"
"""The client id that the webhook puts into the pod."""


@pytest.fixture
def token(tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pod as the webhook of workload identities leaves it."""
    path = tmp_path / "token"
    path.write_text(federated())
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(path))
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", fake.url)
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", WEBHOOK)
    return path


@pytest.fixture
def machine(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A machine with identities; its metadata endpoint answers over plain HTTP, as the true one does."""
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", fake.machine)
    return fake


def clients(fake: Fake) -> set[tuple[str, str]]:
    """By what and as whom somebody signed in."""
    return {(one["by"], one["client"]) for one in fake.admin.ask("GET", "signed_in")["signed_in"]}


@pytest.mark.usefixtures("token")
def test_a_workload_identity_comes_first_and_no_secret_is_sent(fake: Fake, step: Step) -> None:
    assert step.value("ping")["signed_in_by"] == "workload_identity"
    assert set(fake.sign_ins()) == {"federated"}


@pytest.mark.usefixtures("token")
def test_a_workload_identity_needs_nothing_but_what_its_webhook_sets(fake: Fake, step: Step) -> None:
    """A whole job, with its uploads, with neither tenant, client nor secret in the connection."""
    value = step.value("job submit", spec=COMMAND, files=FILES, AZURE_ML_AUTH_MODE="workload_identity", **NO_SECRET)
    assert value["status"] == "Completed"
    assert clients(fake) == {("federated", WEBHOOK)}


@pytest.mark.usefixtures("token")
def test_one_of_several_workload_identities_is_named(fake: Fake, step: Step) -> None:
    assert step.value("ping", AZURE_ML_IDENTITY_CLIENT_ID="another", **NO_SECRET)["workspace"] == "ws"
    assert clients(fake) == {("federated", "another")}


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"seconds": -1}, "it has run out"),
        ({"aud": "api://somebody-else"}, "it is for api://somebody-else"),
        ({"sub": ""}, "it has no subject"),
        ({"key": rsa.generate_private_key(65537, 2048)}, "its signature does not match"),
    ],
    ids=["stale", "for another", "without subject", "of another cluster"],
)
def test_a_federated_token_that_entra_does_not_believe_is_refused_with_its_words(
    step: Step, token: Path, told: dict[str, object], why: str
) -> None:
    token.write_text(federated(**told))  # type: ignore[arg-type]
    with pytest.raises(AccessDenied, match=f"(?s)AADSTS70021.*{why}.*or the pod's identity"):
        step("ping")


@pytest.mark.usefixtures("token")
def test_a_named_way_to_sign_in_is_kept_to(fake: Fake, step: Step) -> None:
    assert step.value("ping", AZURE_ML_AUTH_MODE="client_secret")["signed_in_by"] == "client_secret"
    assert clients(fake) == {("secret", CLIENT)}


def test_a_workload_identity_that_the_pod_does_not_have_is_told(step: Step) -> None:
    with pytest.raises(BadSettings, match=r"\$AZURE_FEDERATED_TOKEN_FILE is not set; signing in by workload_identity"):
        step("ping", AZURE_ML_AUTH_MODE="workload_identity")


def test_a_managed_identity_is_what_is_left_and_sends_no_secret(machine: Fake, step: Step) -> None:
    value = step.value("job submit", spec=COMMAND, files=FILES, **NO_SECRET)
    assert value["status"] == "Completed"
    assert clients(machine) == {("machine", "the-machine")}


def test_a_managed_identity_that_is_named_comes_before_a_certificate_and_a_secret(machine: Fake, step: Step) -> None:
    value = step.value("ping", AZURE_ML_IDENTITY_CLIENT_ID=WEBHOOK, AZURE_ML_CERTIFICATE=pem())
    assert value["signed_in_by"] == "managed_identity"
    assert clients(machine) == {("machine", WEBHOOK)}


def test_a_certificate_signs_in_by_an_assertion(fake: Fake, step: Step) -> None:
    assert step.value("ping", AZURE_ML_CERTIFICATE=pem())["signed_in_by"] == "certificate"
    assert clients(fake) == {("certificate", CLIENT)}
    with pytest.raises(BadSettings, match=r"\$AZURE_ML_CERTIFICATE cannot be read"):
        step("ping", AZURE_ML_CERTIFICATE="no certificate")


@cache
def pem() -> str:
    """A certificate with its key; which one does not matter."""
    key, name = rsa.generate_private_key(65537, 2048), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = builder.not_valid_before(now).not_valid_after(now + dt.timedelta(days=1)).sign(key, hashes.SHA256())
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    return (signed.public_bytes(encoding) + private).decode()
