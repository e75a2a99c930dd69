"""Environments, data, models and components: registered once for each run, with their versions told.

One that names its version is found by it, and what Azure refuses to change of it is an error. One without gets the next
version, and the run's mark: a second execution of the run finds it by that.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from azure.ai.ml import load_component, load_data, load_environment, load_model

from jobs.azure_ml.faults import told
from jobs.azure_ml.names import DEFINITION_TAG, RUN_TAG, mark
from jobs.azure_ml.waiting import bounded
from tidegate.step import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobs.azure_ml.connection import Workspace
    from jobs.azure_ml.spec import Spec
    from jobs.azure_ml.step import Settings

log = logging.getLogger(__name__)


def environment(space: Workspace, settings: Settings, spec: Spec) -> dict[str, Any]:
    """Register an environment; its image is built when a job first wants it."""
    return _registered(
        space, settings, spec, "environment", operations=space.client.environments, loader=load_environment
    )


def data(space: Workspace, settings: Settings, spec: Spec) -> dict[str, Any]:
    """Register data; a local path is uploaded to the workspace's own store."""
    return _registered(space, settings, spec, "data", operations=space.client.data, loader=load_data)


def model(space: Workspace, settings: Settings, spec: Spec) -> dict[str, Any]:
    """Register a model."""
    return _registered(space, settings, spec, "model", operations=space.client.models, loader=load_model)


def component(space: Workspace, settings: Settings, spec: Spec) -> dict[str, Any]:
    """Register a component; a version that is there is left alone."""
    return _registered(
        space, settings, spec, "component", operations=space.client.components, loader=load_component, keep=True
    )


def _registered(
    space: Workspace,
    settings: Settings,
    spec: Spec,
    kind: str,
    *,
    operations: Any,  # noqa: ANN401 - one of four classes of the SDK
    loader: Callable[..., Any],
    keep: bool = False,
) -> dict[str, Any]:
    entity = spec.load(loader)
    tags = {RUN_TAG: mark(settings.run), DEFINITION_TAG: spec.digest()}
    pinned = spec.document.get("version") is not None
    if pinned:
        there = _look(operations, kind, entity.name, str(entity.version)) if keep else None
    else:
        there = _own(operations, kind, str(entity.name), tags)
        entity.tags = {**(entity.tags or {}), **tags}
    if there is not None:
        log.info("azure_ml: %s %s:%s is there; it is left alone", kind, there.name, there.version)
    doing = f"registering {kind} {entity.name}"
    with told(doing):
        found = there or bounded(lambda: operations.create_or_update(entity), seconds=settings.submit, doing=doing)
    return _value(space, kind, found, created=there is None)


def _look(operations: Any, kind: str, name: str, version: str) -> Any:  # noqa: ANN401
    """The asset of that version, None where there is none; any other fault is raised."""
    try:
        with told(f"{kind} {name}:{version}"):
            return operations.get(name=name, version=version)
    except NotFound:
        return None


def _own(operations: Any, kind: str, name: str, tags: dict[str, str]) -> Any:  # noqa: ANN401
    """The version that this run registered from the same definition, None where there is none."""
    try:
        with told(f"{kind} {name}"):
            for found in operations.list(name=name):
                if tags.items() <= dict(found.tags or {}).items():
                    return operations.get(name=name, version=str(found.version))
    except NotFound:
        pass
    return None


PAGES = {
    "environment": "environments/{name}/version/{version}",
    "data": "data/{name}/{version}/details",
    "model": "model/{name}:{version}/details",
    "component": "component/{name}/{version}",
}


def _value(space: Workspace, kind: str, found: Any, *, created: bool) -> dict[str, Any]:  # noqa: ANN401
    name, version = str(found.name), str(found.version)
    value = {
        "name": name,
        "version": version,
        "id": found.id,
        "studio_url": space.page(PAGES[kind].format(name=name, version=version)),
        "created": created,
    }
    path = getattr(found, "path", None) if kind in ("data", "model") else None
    return value | ({"path": str(path)} if path else {})
