"""The connection type `azure_machine_learning`: what its form stores, and the variables a step's pod gets of it.

Reads: one connection. Client id and secret are `login` and `password`; the rest stands in the extra, under its short
name (`tenantId`) or the long one of the original provider (`extra__azure_machine_learning__tenantId`), short first.

How a pod signs in, first that applies: workload identity (the pod's service account), certificate, client secret,
managed identity; extra `auth_mode` names one. Workload identity needs no Secret, so none is made for it. Extra
`secret_name` names a Secret of the steps' namespace that holds what is secret, so that Airflow need not know it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidegate.airflow.spec import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Connection

    from tidegate.airflow.credentials import Credentials

CONN_TYPE = "azure_machine_learning"
PREFIX = f"extra__{CONN_TYPE}__"

MODES = ("auto", "workload_identity", "managed_identity", "certificate", "client_secret")
WITHOUT_SECRET = frozenset({"workload_identity", "managed_identity"})

PLACE = {
    "subscriptionId": "AZURE_ML_SUBSCRIPTION_ID",
    "resource_group_name": "AZURE_ML_RESOURCE_GROUP",
    "workspace_name": "AZURE_ML_WORKSPACE",
}
"""Extras that every connection has, and their variables."""

OPTIONS = {
    "tenantId": "AZURE_ML_TENANT_ID",
    "auth_mode": "AZURE_ML_AUTH_MODE",
    "identity_client_id": "AZURE_ML_IDENTITY_CLIENT_ID",
    "cloud": "AZURE_ML_CLOUD",
    "authority": "AZURE_ML_AUTHORITY",
    "resource_manager": "AZURE_ML_RESOURCE_MANAGER",
}
SECRETS = {"certificate": "AZURE_ML_CERTIFICATE", "certificate_password": "AZURE_ML_CERTIFICATE_PASSWORD"}
CLIENT_ID, CLIENT_SECRET, CA = "AZURE_ML_CLIENT_ID", "AZURE_ML_CLIENT_SECRET", "AZURE_ML_CA"

LABELS = {
    "login": "Client ID",
    "password": "Secret",
    "tenantId": "Tenant ID",
    "subscriptionId": "Subscription ID",
    "resource_group_name": "Resource Group Name",
    "workspace_name": "Workspace Name",
}
"""What the form calls them."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A workspace, and how to sign in to it. Empty text is what was not given."""

    conn_id: str
    subscription_id: str
    resource_group: str
    workspace: str
    tenant_id: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    secret_name: str = ""
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Other extras by their short names."""

    @property
    def auth_mode(self) -> str:
        """One of `MODES`."""
        return self.extra.get("auth_mode") or "auto"


def workspace_of(connection: Connection, *, ready: bool = False) -> Workspace:
    """Read a connection.

    Args:
        connection: As Airflow has it.
        ready: True wants what signing in from Airflow itself takes, beside the place.

    Raises:
        SpecError: Names all that is missing at once, by the form's own labels.
    """
    extra = extras(connection)
    wanted = {"login", "password", "tenantId", *PLACE} if ready else set(PLACE)
    given = {**extra, "login": connection.login or "", "password": connection.password or ""}
    if missing := [LABELS[name] for name in LABELS if name in wanted and not given.get(name)]:
        raise SpecError(f"connection {connection.conn_id} lacks {', '.join(missing)}")
    if extra.get("auth_mode", "auto") not in MODES:
        raise SpecError(
            f"connection {connection.conn_id}: auth_mode is {extra['auth_mode']!r}, want {', '.join(MODES)}"
        )
    return Workspace(
        conn_id=connection.conn_id,
        subscription_id=extra["subscriptionId"],
        resource_group=extra["resource_group_name"],
        workspace=extra["workspace_name"],
        tenant_id=extra.get("tenantId", ""),
        client_id=connection.login or "",
        client_secret=connection.password or "",
        secret_name=extra.get("secret_name", ""),
        extra=extra,
    )


def extras(connection: Connection) -> dict[str, str]:
    """Return the extras that are given, by their short names.

    Raises:
        SpecError: The extra is no JSON object.
    """
    from tidegate.airflow.credentials import extra_of  # noqa: PLC0415 - that module is the triggerer's

    found = {name: str(value).strip() for name, value in extra_of(connection).items() if value not in {None, ""}}
    long = {name.removeprefix(PREFIX): value for name, value in found.items() if name.startswith(PREFIX)}
    short = {name: value for name, value in found.items() if not name.startswith(PREFIX)}
    return {**long, **short}


def credentials(connection: Connection) -> Credentials:
    """What a pod that works with this workspace is given.

    Raises:
        SpecError: As `workspace_of`; or what the named way to sign in takes is missing.
    """
    from tidegate.airflow.credentials import Credentials  # noqa: PLC0415 - that module is the triggerer's

    found = workspace_of(connection)
    plain = {variable: found.extra.get(name, "") for name, variable in {**PLACE, **OPTIONS, "ca": CA}.items()}
    plain[CLIENT_ID] = found.client_id
    plain = {variable: value for variable, value in plain.items() if value}
    if found.auth_mode in WITHOUT_SECRET:
        return Credentials(connection=found.conn_id, plain=plain)
    if found.secret_name:
        keys = (CLIENT_ID, CLIENT_SECRET, *SECRETS.values())
        keys = tuple(key for key in keys if key not in plain)
        return Credentials(connection=found.conn_id, plain=plain, existing=found.secret_name, keys=keys)
    secret = {variable: found.extra.get(name, "") for name, variable in SECRETS.items()}
    secret[CLIENT_SECRET] = found.client_secret
    _refuse_half(found, secret)
    return Credentials(
        connection=found.conn_id, plain=plain, secret={key: text for key, text in secret.items() if text}
    )


def _refuse_half(found: Workspace, secret: Mapping[str, str]) -> None:
    """Say what a client secret or a certificate lacks to sign in with."""
    named = {"client_secret": CLIENT_SECRET, "certificate": SECRETS["certificate"]}.get(found.auth_mode)
    if named and not secret[named]:
        raise SpecError(f"connection {found.conn_id}: auth_mode is {found.auth_mode}, but there is none")
    with_either = secret[CLIENT_SECRET] or secret[SECRETS["certificate"]]
    missing = [LABELS[name] for name, value in (("login", found.client_id), ("tenantId", found.tenant_id)) if not value]
    if with_either and missing:
        raise SpecError(f"connection {found.conn_id} lacks {', '.join(missing)}")
