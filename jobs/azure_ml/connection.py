"""Which workspace, and as whom: from the environment to a client of the SDK.

Reads: `$AZURE_ML_*`, and what the workload identity webhook sets. Writes: nothing but a file of certificates below the
scratch folder where the connection brings one. Every call has a time limit and few tries.
"""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.step import BadInput, BadSettings, Secret, secret, setting
from tidegate.step.web import Call, call, is_json
from tidegate.step.web import Limits as WebLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.ai.ml import MLClient

    from tidegate.step import Output, Store

WORKLOAD, MANAGED, CERTIFICATE, CLIENT_SECRET = "workload_identity", "managed_identity", "certificate", "client_secret"
FEDERATED = "AZURE_FEDERATED_TOKEN_FILE"
"""Set in a pod by the workload identity webhook."""

HTTP: dict[str, Any] = {
    "connection_timeout": 10,
    "read_timeout": 60,
    "retry_total": 4,
    "retry_backoff_factor": 0.4,
    "retry_backoff_max": 20,
}
"""Seconds for one call, and how often it is tried again."""

AUTHORITIES = {
    "AzureCloud": "https://login.microsoftonline.com",
    "AzureChinaCloud": "https://login.chinacloudapi.cn",
    "AzureUSGovernment": "https://login.microsoftonline.us",
}
STUDIOS = {
    "AzureCloud": "https://ml.azure.com",
    "AzureChinaCloud": "https://studio.ml.azure.cn",
    "AzureUSGovernment": "https://ml.azure.us",
}


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The workspace and the identity, as an Airflow connection or a Secret gives them."""

    subscription_id: str = setting("AZURE_ML_SUBSCRIPTION_ID", at_least=1)
    """Id of the subscription."""
    resource_group: str = setting("AZURE_ML_RESOURCE_GROUP", at_least=1)
    """Name of the resource group."""
    workspace: str = setting("AZURE_ML_WORKSPACE", at_least=1)
    """Name of the workspace."""
    tenant_id: str = setting("AZURE_ML_TENANT_ID", "")
    """Tenant that the identity belongs to; a workload identity brings its own."""
    client_id: str = setting("AZURE_ML_CLIENT_ID", "")
    """Application (client) id of the service principal."""
    identity_client_id: str = setting("AZURE_ML_IDENTITY_CLIENT_ID", "")
    """Client id of a workload or managed identity, where there are several."""
    auth_mode: str = setting(
        "AZURE_ML_AUTH_MODE", "auto", choices=("auto", WORKLOAD, MANAGED, CERTIFICATE, CLIENT_SECRET)
    )
    """How to sign in; auto takes a workload identity where the pod has one, then a managed identity where one is named,
    then a certificate, then a client secret, and without any of these the machine's managed identity."""
    cloud: str = setting("AZURE_ML_CLOUD", "AzureCloud", choices=tuple(AUTHORITIES))
    """Which of Microsoft's clouds."""
    authority: str = setting("AZURE_ML_AUTHORITY", "")
    """Microsoft Entra, where it is not the cloud's own: https://host."""
    resource_manager: str = setting("AZURE_ML_RESOURCE_MANAGER", "")
    """A private Azure Resource Manager, https://host, instead of the cloud's; it tells of itself."""
    ca: str = setting("AZURE_ML_CA", "")
    """Certificate of an authority, in PEM, that is trusted besides the public ones."""
    client_secret: Secret | None = secret("AZURE_ML_CLIENT_SECRET", optional=True)
    """The service principal's secret."""
    certificate: Secret | None = secret("AZURE_ML_CERTIFICATE", optional=True)
    """The service principal's certificate with its private key, in PEM."""
    certificate_password: Secret | None = secret("AZURE_ML_CERTIFICATE_PASSWORD", optional=True)
    """What opens the private key."""


def mode(connection: Connection) -> str:
    """How this connection signs in. Pure but for the pod's federated token."""
    if connection.auth_mode != "auto":
        return connection.auth_mode
    if os.environ.get(FEDERATED):
        return WORKLOAD
    if connection.identity_client_id:
        return MANAGED
    if connection.certificate:
        return CERTIFICATE
    return CLIENT_SECRET if connection.client_secret else MANAGED


def credential(connection: Connection, *, authority: str, private: bool) -> Any:  # noqa: ANN401 - one of four classes
    """What fetches tokens.

    Raises:
        BadSettings: The variables that this way of signing in wants are not set.
    """
    from azure import identity  # noqa: PLC0415 - takes long to import

    kind = mode(connection)
    _refuse_missing(connection, kind)
    common: dict[str, Any] = {**HTTP, "authority": authority, "disable_instance_discovery": private}
    if kind == MANAGED:
        return identity.ManagedIdentityCredential(client_id=connection.identity_client_id or None, **HTTP)
    if kind == WORKLOAD:
        tenant = connection.tenant_id or os.environ.get("AZURE_TENANT_ID")
        client = connection.identity_client_id or connection.client_id or os.environ.get("AZURE_CLIENT_ID")
        return identity.WorkloadIdentityCredential(tenant_id=tenant, client_id=client, **common)
    if kind == CERTIFICATE and connection.certificate:
        password = connection.certificate_password.reveal() if connection.certificate_password else None
        data = connection.certificate.reveal().encode()
        try:
            return identity.CertificateCredential(
                connection.tenant_id, connection.client_id, certificate_data=data, password=password, **common
            )
        except ValueError:
            raise BadSettings("$AZURE_ML_CERTIFICATE cannot be read; want certificate and private key in PEM") from None
    text = connection.client_secret.reveal() if connection.client_secret else ""
    return identity.ClientSecretCredential(connection.tenant_id, connection.client_id, text, **common)


def _refuse_missing(connection: Connection, kind: str) -> None:
    wanted: dict[str, Any] = {}
    if kind in (CERTIFICATE, CLIENT_SECRET):
        wanted = {"AZURE_ML_TENANT_ID": connection.tenant_id, "AZURE_ML_CLIENT_ID": connection.client_id}
        wanted[f"AZURE_ML_{kind.upper()}"] = getattr(connection, kind)
    if kind == WORKLOAD:
        wanted = {FEDERATED: os.environ.get(FEDERATED)}
    if missing := [name for name, value in wanted.items() if not value]:
        raise BadSettings(*(f"${name} is not set; signing in by {kind} wants it" for name in missing))


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The client, and how the workspace is called in links and messages."""

    client: MLClient
    connection: Connection
    store: Store
    """Where the step's own outputs go."""
    studio: str
    """The studio's root."""
    kept: list[Output] = field(default_factory=list)
    """What was written there of what a job left."""

    @property
    def id(self) -> str:
        """Its ARM id."""
        one = self.connection
        return (
            f"/subscriptions/{one.subscription_id}/resourceGroups/{one.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{one.workspace}"
        )

    def page(self, path: str) -> str:
        """A page of the studio."""
        tenant = f"&tid={self.connection.tenant_id}" if self.connection.tenant_id else ""
        return f"{self.studio}/{path}?wsid={self.id}{tenant}"


@contextmanager
def workspace(connection: Connection, store: Store) -> Iterator[Workspace]:
    """The workspace's client, closed afterwards; Azure is asked for nothing yet, a private cloud for its endpoints."""
    from azure.ai.ml import MLClient  # noqa: PLC0415 - takes seconds to import

    from jobs.azure_ml.transport import Transport  # noqa: PLC0415

    if connection.ca:
        trust(connection.ca)
    private = private_cloud(connection.resource_manager) if connection.resource_manager else {}
    authority = connection.authority or private.get("active_directory") or AUTHORITIES[connection.cloud]
    where: dict[str, Any] = {"cloud": connection.cloud}
    if private:
        digest = hashlib.sha256(connection.resource_manager.encode()).hexdigest()[:8]
        where = {"cloud": f"private-{digest}", "cloud_metadata": private}
    signing, transport = credential(connection, authority=authority, private=bool(private)), Transport(**HTTP)
    client = MLClient(
        signing,
        connection.subscription_id,
        connection.resource_group,
        connection.workspace,
        enable_telemetry=False,
        show_progress=False,
        transport=transport,
        user_agent="tidegate",
        **where,
        **HTTP,
    )
    try:
        studio = private.get("studio") or STUDIOS[connection.cloud]
        yield Workspace(client=client, connection=connection, store=store, studio=studio)
    finally:
        transport.close()
        signing.close()


def trust(pem: str) -> None:
    """Trust an authority besides the public ones, in all that is imported from here on."""
    import certifi  # noqa: PLC0415 - comes with the SDK

    path = Path(tempfile.gettempdir()) / f"azure-ml-ca-{hashlib.sha256(pem.encode()).hexdigest()[:16]}.pem"
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise BadSettings("$AZURE_ML_CA is no certificate; want PEM, -----BEGIN CERTIFICATE-----") from None
    path.write_text(f"{Path(certifi.where()).read_text(encoding='utf-8')}\n{pem}\n", encoding="utf-8")
    os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = str(path)


def private_cloud(resource_manager: str) -> dict[str, str]:
    """What a private Resource Manager says of its cloud, in the SDK's words.

    Raises:
        BadInput: It says nothing that can be used.
        TryAgain: It does not answer.
    """
    root = resource_manager.rstrip("/")
    limits = WebLimits(timeout=HTTP["read_timeout"])
    reply = call(Call(url=f"{root}/metadata/endpoints?api-version=2022-09-01"), limits, is_whole=is_json)
    try:
        found = json.loads(reply.body)
        one: dict[str, Any] = found[0] if isinstance(found, list) else found
        return {
            "azure_portal": one["portal"],
            "resource_manager": root,
            "active_directory": one["authentication"]["loginEndpoint"],
            "aml_resource_id": one["authentication"]["audiences"][0],
            "storage_endpoint": one["suffixes"]["storage"],
            "registry_discovery_endpoint": root,
            "studio": one["portal"].rstrip("/"),
        }
    except (ValueError, KeyError, IndexError, TypeError):
        said = f"{reply.status} {reply.reason}"
        raise BadInput(f"$AZURE_ML_RESOURCE_MANAGER {root} does not tell its endpoints ({said})") from None
