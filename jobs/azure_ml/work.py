"""From an action's name to what does it. Imports the SDK."""

from __future__ import annotations

import logging
import warnings
from contextlib import chdir, contextmanager
from typing import TYPE_CHECKING

from jobs.azure_ml import assets, computes, deployments, endpoints, invocations, jobs
from jobs.azure_ml.connection import Workspace, mode, workspace
from jobs.azure_ml.faults import told
from jobs.azure_ml.notices import tell
from jobs.azure_ml.repairs import policies_can_be_read
from jobs.azure_ml.spec import laid_out
from jobs.azure_ml.virtualenv import versions
from tidegate.step import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from jobs.azure_ml.spec import Spec
    from jobs.azure_ml.step import Settings
    from tidegate.step import Store

log = logging.getLogger(__name__)

WITH_SPEC: Mapping[str, Callable[[Workspace, Settings, Spec], dict[str, Any]]] = {
    "job submit": jobs.submit,
    "compute ensure": computes.ensure,
    "environment": assets.environment,
    "data": assets.data,
    "model": assets.model,
    "component": assets.component,
    "endpoint ensure": endpoints.ensure,
    "deploy": deployments.deploy,
}
BY_NAME: Mapping[str, Callable[[Workspace, Settings], dict[str, Any]]] = {
    "job wait": jobs.wait,
    "job cancel": jobs.cancel,
    "compute delete": computes.delete,
    "compute start": computes.start,
    "compute stop": computes.stop,
    "endpoint delete": endpoints.delete,
}


def perform(settings: Settings, store: Store) -> Result:
    """Do it, and say what came of it."""
    log.info("azure_ml: %s in %s, signed in by %s", settings.action, settings.workspace, mode(settings))
    with workspace(settings, store) as space, _quietly(), policies_can_be_read():
        return _perform(space, settings, store)


def _perform(space: Workspace, settings: Settings, store: Store) -> Result:
    if settings.action == "endpoint invoke":
        return invocations.invoke(space, settings, store)
    if settings.action == "ping":
        value = ping(space)
    elif settings.action in WITH_SPEC:
        with laid_out(settings, store) as spec, chdir(spec.path.parent):
            value = WITH_SPEC[settings.action](space, settings, spec)
    else:
        value = BY_NAME[settings.action](space, settings)
    if settings.requirements:
        value["versions"] = versions(settings.requirements)
    tell({"studio_url": str(value.get("studio_url") or "")})
    return Result(outputs=tuple(space.kept), value=value, summary=summary(settings.action, value))


def ping(space: Workspace) -> dict[str, Any]:
    """Sign in and look at the workspace."""
    name = space.connection.workspace
    with told(f"workspace {name}"):
        found = space.client.workspaces.get(name)
    return {
        "workspace": name,
        "id": space.id,
        "location": str(found.location),
        "signed_in_by": mode(space.connection),
        "studio_url": space.page("home"),
    }


def summary(action: str, value: Mapping[str, Any]) -> str:
    """One line for people."""
    name = value.get("name") or value.get("workspace") or "nothing"
    version = f":{value['version']}" if value.get("version") else ""
    state = f", {value['status']}" if value.get("status") else ""
    return f"{action}: {name}{version}{state}"


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the SDK's own advertising out of the log: its class names and its experimental warnings."""
    noisy = logging.getLogger("azure.ai.ml")
    before = noisy.level
    noisy.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        noisy.setLevel(before)
