"""What a step is given of an Airflow connection: plain variables, and secrets in a Secret made for its pod alone.

Reads: the connection, from Airflow's database or its secrets backend. Writes: a Secret that belongs to one pod.
Again: the pod is made first, behind a scheduling gate, then its Secret with the pod as owner, then the gate is taken
away; so there is never a Secret without a pod (Kubernetes collects one whose owner is gone), and whoever finds a pod
that is still gated goes on from there. When the pod has ended its Secret is deleted; `reconcile` does what was missed.

Airflow may create and delete such Secrets, and read none. No secret is an argument, an XCom, a template or a log line.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection

from tidegate.airflow import identity
from tidegate.airflow.kube_errors import Conflict
from tidegate.airflow.spec import OURS, SpecError
from tidegate.airflow.supervisor import asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Connection

    from tidegate.airflow.kube import Pod, Pods

GATE = f"{identity.PREFIX}credentials"
"""Keeps a pod from being scheduled until its Secret is there."""

SECRET = f"{identity.PREFIX}secret"
"""Annotation: the Secret that was made for the pod and is not deleted yet."""

CONNECTION = f"{identity.PREFIX}connection"
"""Annotation: the Airflow connection that the pod has its credentials from."""

SECONDS = 60.0
"""To read a connection."""

READERS = {"azure_machine_learning": "tidegate.airflow.azureml.connection"}
"""By type of connection, the module whose `credentials(connection)` turns it into variables; others: `generic`."""

GENERIC = ("CONNECTION_URI", "CONNECTION_LOGIN", "CONNECTION_PASSWORD", "CONNECTION_EXTRA")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Variables by name, out of one connection."""

    connection: str
    """Its id."""
    plain: Mapping[str, str] = field(default_factory=dict)
    """What everybody may see."""
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What goes into the pod's own Secret."""
    existing: str = ""
    """A Secret that is there already, instead."""
    keys: tuple[str, ...] = ()
    """Keys of it that become variables, where they exist."""

    def __post_init__(self) -> None:
        """Refuse variables that carry the step contract."""
        if taken := sorted(OURS & {*self.plain, *self.secret, *self.keys}):
            raise SpecError(f"connection {self.connection} would set {', '.join(taken)}, which the step contract sets")


async def read(conn_id: str) -> Credentials:
    """Return what the connection gives; every secret in it is masked in Airflow's logs from here on.

    Raises:
        SpecError: There is no such connection, or what it says cannot be used.
        Exception: Airflow does not answer; the task's retries count.
    """
    from airflow.sdk.log import amask_secret  # noqa: PLC0415 - bound when the triggerer has started

    async with asyncio.timeout(SECONDS):
        connection = await _connection(conn_id)
        module = READERS.get(connection.conn_type or "")
        if module:
            found: Credentials = import_module(module).credentials(connection)
        else:
            found = generic(connection, uri=await connection.aget_uri())
        for value in found.secret.values():
            await amask_secret(value)
    return found


def generic(connection: Connection, *, uri: str) -> Credentials:
    """What a connection of any type gives: its parts as `CONNECTION_…`, the URI of all of it among them.

    Its extra `secret_name` names a Secret with these keys instead.
    """
    plain = {
        "CONNECTION_ID": connection.conn_id,
        "CONNECTION_TYPE": connection.conn_type or "",
        "CONNECTION_HOST": connection.host or "",
        "CONNECTION_PORT": str(connection.port or ""),
        "CONNECTION_SCHEMA": connection.schema or "",
    }
    plain = {name: value for name, value in plain.items() if value}
    if existing := str(extra_of(connection).get("secret_name") or ""):
        return Credentials(connection=connection.conn_id, plain=plain, existing=existing, keys=GENERIC)
    secret = (uri, connection.login, connection.password, connection.extra)
    return Credentials(
        connection=connection.conn_id,
        plain=plain,
        secret={name: value for name, value in zip(GENERIC, secret, strict=True) if value},
    )


def extra_of(connection: Connection) -> dict[str, Any]:
    """Return the extra of a connection; Airflow's own way would block the triggerer's loop (apache-airflow 3.3.2).

    Raises:
        SpecError: It is no JSON object.
    """
    try:
        found = json.loads(connection.extra or "{}")
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    raise SpecError(f"the extra of connection {connection.conn_id} is no JSON object")


def dress(pod: Pod, given: Credentials) -> None:
    """Add to a pod what it needs of `given`: variables, and the gate where a Secret is to be made for it."""
    name = given.existing or (secret_name(pod) if given.secret else "")
    keys = given.keys if given.existing else tuple(given.secret)
    container = pod["spec"]["containers"][0]
    mine = {*given.plain, *keys}
    container["env"] = [
        *(item for item in container["env"] if item["name"] not in mine),
        *({"name": key, "value": value.replace("$", "$$")} for key, value in sorted(given.plain.items())),
        *(_reference(name, key, optional=bool(given.existing)) for key in sorted(keys)),
    ]
    pod["metadata"]["annotations"][CONNECTION] = given.connection
    if given.secret:
        pod["metadata"]["annotations"][SECRET] = name
        pod["spec"]["schedulingGates"] = [*pod["spec"].get("schedulingGates", []), {"name": GATE}]


def secret_name(pod: Pod) -> str:
    """Return the name of the pod's Secret: no other pod's, not even one of the same name in a deleted run."""
    metadata = pod["metadata"]
    key = f"{metadata['name']}/{metadata['annotations'].get(f'{identity.PREFIX}ti-id', '')}"
    return f"{metadata['name'][:-17]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


async def furnish(pods: Pods, pod: Pod, given: Credentials | None) -> None:
    """Make the Secret of a pod that waits for it, and let the pod go; nothing where it does not wait.

    Raises:
        KubeError: Airflow may not, or Kubernetes refuses.
    """
    gates = pod["spec"].get("schedulingGates", [])
    if given is None or not given.secret or {"name": GATE} not in gates:
        return
    secret = secret_of(pod, given)
    try:
        await pods.create_secret(secret)
    except Conflict:  # of a start of this try that was cut short, or of a pod that is gone and being collected
        await pods.delete_secret(secret["metadata"]["name"])
        await pods.create_secret(secret)
    left = [gate for gate in gates if gate != {"name": GATE}]
    await pods.patch(pod["metadata"]["name"], {"spec": {"schedulingGates": left}})


def secret_of(pod: Pod, given: Credentials) -> dict[str, Any]:
    """Return the Secret as Kubernetes JSON, owned by the pod."""
    metadata = pod["metadata"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": metadata["annotations"][SECRET],
            "namespace": metadata["namespace"],
            "labels": {"app.kubernetes.io/managed-by": "tidegate"},
            "ownerReferences": [owner],
        },
        "immutable": True,
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in given.secret.items()},
    }


def left_behind(pod: Pod) -> str:
    """Return the Secret that was made for a pod, "" where there is none or it is deleted."""
    return str(pod["metadata"].get("annotations", {}).get(SECRET, ""))


async def take_back(pods: Pods, pod: Pod) -> None:
    """Delete the Secret of a pod that has ended: the pod itself stays a while, for people who read its log."""
    if name := left_behind(pod):
        await pods.delete_secret(name)
        await pods.patch(pod["metadata"]["name"], {"metadata": {"annotations": {SECRET: None}}})


async def _connection(conn_id: str) -> Connection:
    from airflow.sdk import Connection  # noqa: PLC0415 - a second to import, and only needed here

    with suppress(AirflowNotFoundException):
        return await Connection.async_get(conn_id)  # type: ignore[no-any-return]
    # Airflow says "not found" too when it could not ask (apache-airflow 3.3.2): ask what it is.
    if await asked(lambda: _missing(conn_id)):
        raise SpecError(f"there is no Airflow connection {conn_id!r}; make it under Admin, Connections")
    return await Connection.async_get(conn_id)  # type: ignore[no-any-return]


async def _missing(conn_id: str) -> bool:
    try:
        answer = await task_runner.SUPERVISOR_COMMS.asend(GetConnection(conn_id=conn_id))
    except AirflowRuntimeError as fault:
        answer = fault.error
    if not isinstance(answer, ErrorResponse):
        return False
    if answer.error is ErrorType.CONNECTION_NOT_FOUND:
        return True
    raise AirflowRuntimeError(answer)


def _reference(secret: str, key: str, *, optional: bool) -> dict[str, Any]:
    where = {"name": secret, "key": key}
    return {"name": key, "valueFrom": {"secretKeyRef": {**where, "optional": True} if optional else where}}
