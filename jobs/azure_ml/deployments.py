"""Deployments: made or updated, and then given traffic, or made the default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azure.ai.ml import load_batch_deployment, load_online_deployment
from azure.ai.ml.entities._load_functions import load_pipeline_component_batch_deployment

from jobs.azure_ml import endpoints
from jobs.azure_ml.actions import BATCH, ONLINE
from jobs.azure_ml.faults import told
from jobs.azure_ml.states import word
from jobs.azure_ml.waiting import Watch, finish
from tidegate.step import BadInput

if TYPE_CHECKING:
    from jobs.azure_ml.connection import Workspace
    from jobs.azure_ml.spec import Spec
    from jobs.azure_ml.step import Settings

WHOLE = 100
"""Percent that the traffic of an endpoint sums up to, or none."""


def deploy(space: Workspace, settings: Settings, spec: Spec) -> dict[str, Any]:
    """Make or update it, wait for it, and send traffic to it if asked."""
    kind = endpoints.kind_of(settings, spec)
    traffic = _percents(settings)
    _refuse_misplaced(settings, kind)
    entity = spec.load(_loader(spec, kind))
    name, endpoint = str(entity.name), str(entity.endpoint_name)
    what = f"deployment {name} of {kind} endpoint {endpoint}"
    operations: Any = space.client.batch_deployments if kind == BATCH else space.client.online_deployments
    with told(what):
        poller = operations.begin_create_or_update(entity)
        if settings.waiting:
            watch = Watch(what, settings.poll, settings.patience)
            finish(poller, watch, lambda: word(operations.get(name, endpoint).provisioning_state), good=endpoints.MADE)
        if traffic or settings.default:
            _direct(space, settings, kind, entity, traffic)
        found, around = operations.get(name, endpoint), endpoints.of(space, kind).get(endpoint)
    defaults = getattr(around, "defaults", None)
    return {
        "name": name,
        "endpoint": endpoint,
        "id": found.id,
        "status": word(found.provisioning_state),
        "traffic": dict(getattr(around, "traffic", None) or {}),
        "default": str(_default_of(defaults) or "") == name,
        "studio_url": endpoints.page(space, kind, endpoint),
    }


def _loader(spec: Spec, kind: str) -> Any:  # noqa: ANN401
    if kind == ONLINE:
        return load_online_deployment
    of_pipeline = spec.document.get("type") == "pipeline"
    return load_pipeline_component_batch_deployment if of_pipeline else load_batch_deployment


def _percents(settings: Settings) -> dict[str, int]:
    try:
        percents = {str(name): int(part) for name, part in settings.traffic.items()}
    except (TypeError, ValueError):
        percents = {"": -1}
    if any(part < 0 for part in percents.values()) or sum(percents.values()) not in (0, WHOLE):
        raise BadInput(f"$TIDEGATE_PARAMS.traffic is {settings.traffic}; want whole percents that sum up to {WHOLE}")
    return percents


def _refuse_misplaced(settings: Settings, kind: str) -> None:
    if settings.traffic and kind == BATCH:
        raise BadInput("$TIDEGATE_PARAMS.traffic is for online endpoints; a batch endpoint has a default")
    if settings.default and kind == ONLINE:
        raise BadInput("$TIDEGATE_PARAMS.default is for batch endpoints; an online endpoint has traffic")


def _direct(space: Workspace, settings: Settings, kind: str, entity: Any, traffic: dict[str, int]) -> None:  # noqa: ANN401
    """Set the endpoint's traffic, or its default deployment."""
    operations, endpoint = endpoints.of(space, kind), str(entity.endpoint_name)
    around = operations.get(endpoint)
    if kind == ONLINE:
        around.traffic = traffic
    else:
        around.defaults = {"deployment_name": str(entity.name)}
    watch = Watch(f"{kind} endpoint {endpoint}", settings.poll, settings.patience)
    finish(
        operations.begin_create_or_update(around),
        watch,
        lambda: word(operations.get(endpoint).provisioning_state),
        good=endpoints.MADE,
    )


def _default_of(defaults: Any) -> Any:  # noqa: ANN401 - an object or a mapping, as the SDK likes
    return defaults.get("deployment_name") if isinstance(defaults, dict) else getattr(defaults, "deployment_name", None)
