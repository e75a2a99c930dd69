"""Clusters and instances: made if need be, started, stopped, deleted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from azure.ai.ml import load_compute

from jobs.azure_ml.faults import told
from jobs.azure_ml.states import word
from jobs.azure_ml.waiting import Watch, finish, settle
from tidegate.step import NotFound

if TYPE_CHECKING:
    from azure.ai.ml.entities import Compute

    from jobs.azure_ml.connection import Workspace
    from jobs.azure_ml.spec import Spec
    from jobs.azure_ml.step import Settings

log = logging.getLogger(__name__)

MADE = frozenset({"Succeeded"})
STARTED, STOPPED = frozenset({"Running", "Ready", "Idle"}), frozenset({"Stopped"})
GONE = "gone"


def ensure(space: Workspace, settings: Settings, spec: Spec) -> dict[str, Any]:
    """Make it unless one of its name is there, which stays as it is."""
    entity = spec.load(load_compute)
    name = str(entity.name)
    watch = Watch(f"compute {name}", settings.poll, settings.patience)
    there = look(space, name)
    if there is None:
        with told(f"making compute {name}"):
            poller = space.client.compute.begin_create_or_update(entity)
            if settings.waiting:
                finish(poller, watch, lambda: _state(space, name), good=MADE)
    elif settings.waiting:
        log.info("azure_ml: compute %s is there, %s", name, word(there.provisioning_state))
        settle(watch, lambda: _state(space, name), good=MADE)
    return _value(space, watch.look(lambda: space.client.compute.get(name)), created=there is None)


def delete(space: Workspace, settings: Settings) -> dict[str, Any]:
    """Delete it.

    Raises:
        NotFound: It is not there, and `missing_ok` is false.
    """
    name = settings.name
    if look(space, name) is None:
        if not settings.missing_ok:
            raise NotFound(f"compute {name} is not there; set missing_ok where that is fine")
        return {"name": name, "deleted": False}
    watch = Watch(f"compute {name}", settings.poll, settings.patience)
    with told(f"deleting compute {name}"):
        poller = space.client.compute.begin_delete(name)
        if settings.waiting:
            finish(poller, watch, lambda: _state(space, name), good=frozenset({GONE}))
    return {"name": name, "deleted": True}


def start(space: Workspace, settings: Settings) -> dict[str, Any]:
    """Start an instance; one that runs is left alone."""
    return _turn(space, settings, STARTED)


def stop(space: Workspace, settings: Settings) -> dict[str, Any]:
    """Stop an instance; one that is stopped is left alone."""
    return _turn(space, settings, STOPPED)


def look(space: Workspace, name: str) -> Compute | None:
    """The compute of that name, None where there is none; any other fault is raised."""
    try:
        with told(f"compute {name}"):
            found: Compute = space.client.compute.get(name)
            return found
    except NotFound:
        return None


def _turn(space: Workspace, settings: Settings, good: frozenset[str]) -> dict[str, Any]:
    name = settings.name
    with told(f"compute {name}"):
        there = space.client.compute.get(name)
        if word(getattr(there, "state", "")) not in good:
            begin = space.client.compute.begin_start if good == STARTED else space.client.compute.begin_stop
            poller = begin(name)
            if settings.waiting:
                watch = Watch(f"compute {name}", settings.poll, settings.patience)
                finish(poller, watch, lambda: _power(space, name), good=good)
            there = space.client.compute.get(name)
    return _value(space, there, created=False)


def _state(space: Workspace, name: str) -> str:
    found = look(space, name)
    return GONE if found is None else word(found.provisioning_state)


def _power(space: Workspace, name: str) -> str:
    return word(getattr(space.client.compute.get(name), "state", ""))


def _value(space: Workspace, found: Compute, *, created: bool) -> dict[str, Any]:
    return {
        "name": found.name,
        "id": found.id,
        "type": found.type,
        "status": word(getattr(found, "state", None) or found.provisioning_state),
        "studio_url": space.page(f"compute/{found.name}/details"),
        "created": created,
    }
