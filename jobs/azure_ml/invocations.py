"""Asking an endpoint: an online one for a reply, a batch one for a job, once for each run."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azure.ai.ml import Input as DataInput

from jobs.azure_ml import endpoints
from jobs.azure_ml.actions import BATCH
from jobs.azure_ml.faults import told
from jobs.azure_ml.jobs import carried_out
from tidegate.step import BadInput, Prefix, Result, publish

if TYPE_CHECKING:
    from jobs.azure_ml.connection import Workspace
    from jobs.azure_ml.step import Settings
    from tidegate.step import Store

SMALL = 2000
"""Bytes of a reply that are handed on in the result; a longer one is only in its object."""


def invoke(space: Workspace, settings: Settings, store: Store) -> Result:
    """Ask the endpoint."""
    if settings.endpoint_type == BATCH:
        value = batch(space, settings)
        return Result(value=value, summary=f"endpoint invoke: {settings.name}: {value['name']}, {value['status']}")
    return online(space, settings, store)


def online(space: Workspace, settings: Settings, store: Store) -> Result:
    """Ask for a reply, once: it is not asked again where the answer is lost."""
    if not settings.output:
        raise BadInput("$TIDEGATE_OUTPUT is not set; the reply goes there")
    with tempfile.TemporaryDirectory(prefix="azure-ml-") as folder:
        path = Path(folder) / "request.json"
        path.write_text(_json(settings.request), encoding="utf-8")
        with told(f"online endpoint {settings.name}"):
            text = space.client.online_endpoints.invoke(
                endpoint_name=settings.name, request_file=str(path), deployment_name=settings.deployment or None
            )
    output = publish(store, "reply", Prefix(settings.output) / "reply.json", text.encode())
    value = {
        "name": settings.name,
        "deployment": settings.deployment,
        "reply": _small(text),
        "studio_url": endpoints.page(space, settings.endpoint_type, settings.name),
    }
    return Result(outputs=(output,), value=value, summary=f"endpoint invoke: {settings.name}: {output.size} bytes")


def batch(space: Workspace, settings: Settings) -> dict[str, Any]:
    """Start the endpoint's job of this run, or find it, and wait for it if asked."""
    inputs = {name: _input(name, given) for name, given in settings.request_input.items()}

    def make(name: str) -> None:
        with told(f"batch endpoint {settings.name}"):
            space.client.batch_endpoints.invoke(
                endpoint_name=settings.name,
                deployment_name=settings.deployment or None,
                inputs=inputs or None,
                job_name=name,
            )

    return carried_out(space, settings, make, digest="")


def _input(name: str, given: Any) -> DataInput:  # noqa: ANN401 - any JSON
    wanted = 'want {"type": "uri_folder", "path": …} or {"type": "string", "default": …}'
    if not isinstance(given, dict) or "type" not in given or not {"path", "default"} & given.keys():
        raise BadInput(f"$TIDEGATE_PARAMS.request_input.{name} is {given}; {wanted}")
    try:
        return DataInput(**given)
    except Exception as error:  # the SDK raises whatever a bad document leads to
        raise BadInput(f"$TIDEGATE_PARAMS.request_input.{name}: {error}; {wanted}") from None


def _json(text: str) -> str:
    try:
        json.loads(text)
    except ValueError as error:
        raise BadInput(f"$TIDEGATE_PARAMS.request is not JSON: {error}") from None
    return text


def _small(text: str) -> Any:  # noqa: ANN401
    if len(text.encode()) > SMALL:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
