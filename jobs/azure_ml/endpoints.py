"""Endpoints, online and batch: made if need be, deleted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from azure.ai.ml import load_batch_endpoint, load_online_endpoint

from jobs.azure_ml.actions import BATCH, ONLINE
from jobs.azure_ml.faults import told
from jobs.azure_ml.states import word
from jobs.azure_ml.waiting import Watch, finish, settle
from tidegate.step import BadInput, NotFound

if TYPE_CHECKING:
    from jobs.azure_ml.connection import Workspace
    from jobs.azure_ml.spec import Spec
    from jobs.azure_ml.step import Settings

log = logging.getLogger(__name__)

MADE, GONE = frozenset({"Succeeded"}), "gone"


def kind_of(settings: Settings, spec: Spec) -> str:
    """Online or batch: as the parameter says, else as the specification's `$schema` does.

    Raises:
        BadInput: Neither says it.
    """
    schema = str(spec.document.get("$schema", "")).rpartition("/")[2].lower()
    said = [kind for kind in (ONLINE, BATCH) if kind in schema]
    if settings.endpoint_type or said:
        return settings.endpoint_type or said[0]
    raise BadInput("$TIDEGATE_PARAMS.endpoint_type is not set, and the specification has no $schema that says it")


def of(space: Workspace, kind: str) -> Any:  # noqa: ANN401 - one of two classes of the SDK
    """The SDK's operations on endpoints of that kind."""
    return space.client.batch_endpoints if kind == BATCH else space.client.online_endpoints


def ensure(space: Workspace, settings: Settings, spec: Spec) -> dict[str, Any]:
    """Make it unless one of its name is there, which stays as it is."""
    kind = kind_of(settings, spec)
    entity = spec.load(load_batch_endpoint if kind == BATCH else load_online_endpoint)
    name = str(entity.name)
    watch = Watch(f"{kind} endpoint {name}", settings.poll, settings.patience)
    there = look(space, kind, name)
    if there is None:
        with told(f"making {kind} endpoint {name}"):
            poller = of(space, kind).begin_create_or_update(entity)
            if settings.waiting:
                finish(poller, watch, lambda: _state(space, kind, name), good=MADE)
    elif settings.waiting:
        log.info("azure_ml: %s endpoint %s is there, %s", kind, name, word(there.provisioning_state))
        settle(watch, lambda: _state(space, kind, name), good=MADE)
    found = watch.look(lambda: of(space, kind).get(name))
    return _value(space, kind, found, created=there is None)


def delete(space: Workspace, settings: Settings) -> dict[str, Any]:
    """Delete it.

    Raises:
        NotFound: It is not there, and `missing_ok` is false.
    """
    kind, name = settings.endpoint_type, settings.name
    if look(space, kind, name) is None:
        if not settings.missing_ok:
            raise NotFound(f"{kind} endpoint {name} is not there; set missing_ok where that is fine")
        return {"name": name, "deleted": False}
    watch = Watch(f"{kind} endpoint {name}", settings.poll, settings.patience)
    with told(f"deleting {kind} endpoint {name}"):
        poller = of(space, kind).begin_delete(name=name)
        if settings.waiting:
            finish(poller, watch, lambda: _state(space, kind, name), good=frozenset({GONE}))
    return {"name": name, "deleted": True}


def look(space: Workspace, kind: str, name: str) -> Any:  # noqa: ANN401
    """The endpoint of that name, None where there is none; any other fault is raised."""
    try:
        with told(f"{kind} endpoint {name}"):
            return of(space, kind).get(name)
    except NotFound:
        return None


def page(space: Workspace, kind: str, name: str) -> str:
    """Its page in the studio."""
    return space.page(f"endpoints/{'batch' if kind == BATCH else 'realtime'}/{name}/detail")


def _state(space: Workspace, kind: str, name: str) -> str:
    found = look(space, kind, name)
    return GONE if found is None else word(found.provisioning_state)


def _value(space: Workspace, kind: str, found: Any, *, created: bool) -> dict[str, Any]:  # noqa: ANN401
    return {
        "name": found.name,
        "id": found.id,
        "type": kind,
        "status": word(found.provisioning_state),
        "scoring_uri": found.scoring_uri,
        "studio_url": page(space, kind, str(found.name)),
        "created": created,
    }
