"""What a step's pod looks like, as the chart writes it into the ConfigMap `tidegate-steps`.

One key for each step, and `_platform`; every value is JSON. It is read when a step starts, so that a new image reaches
the next pod at once and no DAG is parsed again.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_MAP = "tidegate-steps"
"""Its name, in the steps' namespace."""

NAMESPACE_VARIABLE = "TIDEGATE_STEPS_NAMESPACE"
"""Names the namespace that steps run in."""

NAMESPACE = "tidegate-steps"
"""The chart's own name for it."""

PLATFORM_KEY = "_platform"
"""Key of what all steps share."""

OURS = frozenset({
    "TIDEGATE_INPUTS", "TIDEGATE_OUTPUT", "TIDEGATE_PARAMS", "TIDEGATE_RESULT", "TIDEGATE_RUN", "TIDEGATE_STOPPED_FILE",
})  # fmt: skip
"""Variables that carry the step contract, so no setting may carry them."""


class SpecError(Exception):
    """The ConfigMap does not say how to run a step; the text says which of the chart's values to change."""


@dataclass(frozen=True, kw_only=True)
class LedgerRules:
    """When a step's recorded result may be used again. Field names are the keys of the JSON."""

    keyed_by_time: str = "none"
    """How far the run's time is part of the work: none, hour or minute."""
    params: tuple[str, ...] | None = None
    """The parameters that the work depends on; None for all that the step is given."""
    ttl_seconds: int = 0
    """After so many seconds a result is none; 0 is never."""
    secret_versions: bool = False
    """Whether a changed Secret of the step makes other work of it."""
    reuse: bool = True
    """False: it runs every time."""
    verify: str = "version"
    """What must hold of a result before it is used again, see `tidegate.ledger.Proof`."""


@dataclass(frozen=True, kw_only=True)
class StepSpec:
    """How to run one step. Field names are the keys of the JSON."""

    name: str
    image: str
    """Full reference."""
    resources: Mapping[str, Any]
    """`requests` and `limits`; a memory limit is wanted."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Plain variables, never a secret."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of the pod, besides ours."""
    secret: str = ""
    """The Secret of this step."""
    secret_keys: tuple[str, ...] = ()
    """Keys of that Secret; each becomes the variable of the same name."""
    cancel_notice: bool = False
    """Whether it is told, before its pod is deleted, that a person stopped the task; see `tidegate.airflow.notice`."""
    active_deadline_seconds: int = 3600
    """After so many seconds the pod is stopped, whatever it does."""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    ledger: LedgerRules = field(default_factory=LedgerRules)

    def __post_init__(self) -> None:
        """Refuse what would only be noticed in the cluster, or never."""
        where = f"steps.{self.name}"
        if not self.image:
            raise SpecError(f"set {where}.image in the chart's values: it is empty")
        if "memory" not in self.resources.get("limits", {}):
            raise SpecError(f"set {where}.resources.limits.memory in the chart's values, such as 256Mi")
        if self.secret_keys and not self.secret:
            raise SpecError(f"set {where}.secret in the chart's values: secretKeys names keys of no Secret")
        if taken := sorted(OURS & {*self.env, *self.secret_keys}):
            raise SpecError(f"take {', '.join(taken)} out of {where}: the step contract sets it")

    @property
    def memory_limit(self) -> str:
        """Such as `512Mi`."""
        return str(self.resources["limits"]["memory"])


@dataclass(frozen=True, kw_only=True)
class Platform:
    """What all steps share."""

    store_root: str
    """URL that relative paths are under, such as `s3://tidegate`."""
    stores: Mapping[str, str] = field(default_factory=dict)
    """Other such URLs, by names of ours."""

    def url(self, path: str) -> str:
        """`path` where it is a URL, that of `rest` in the named store for `name://rest`, else that under the root."""
        name, colon, rest = path.partition("://")
        if colon and name not in self.stores:
            return path
        root, below = (self.stores[name], rest) if colon else (self.store_root, path)
        return f"{root.rstrip('/')}/{below.lstrip('/')}"


def steps_namespace() -> str:
    """Where steps run."""
    return os.environ.get(NAMESPACE_VARIABLE, NAMESPACE)


def step_spec(name: str, data: Mapping[str, str] | None) -> StepSpec:
    """How to run step `name`, out of the ConfigMap's data.

    Raises:
        SpecError: There is no such step, or its entry is unusable.
    """
    known = sorted(key for key in data or {} if key != PLATFORM_KEY)
    if name not in known:
        raise SpecError(f"no step {name!r}: add steps.{name} to the chart's values (there are {', '.join(known)})")
    entry = _object(name, data)
    fields = {key: _frozen(value) for key, value in entry.items() if key in StepSpec.__dataclass_fields__}
    try:
        rules = LedgerRules(**{key: _frozen(value) for key, value in (entry.get("ledger") or {}).items()})
        return StepSpec(**{**fields, "name": name, "ledger": rules})
    except TypeError as error:
        raise SpecError(
            f"ConfigMap {CONFIG_MAP}, key {name}: {str(error).removeprefix('StepSpec.').removeprefix('LedgerRules.')}"
        ) from None


def platform(data: Mapping[str, str] | None) -> Platform:
    """What all steps share, out of the ConfigMap's data.

    Raises:
        SpecError: The store's root is missing.
    """
    entry = _object(PLATFORM_KEY, data) if PLATFORM_KEY in (data or {}) else {}
    if not entry.get("store_root"):
        raise SpecError("set store.root in the chart's values, such as s3://bucket")
    return Platform(store_root=entry["store_root"], stores=entry.get("stores") or {})


def _object(key: str, data: Mapping[str, str] | None) -> dict[str, Any]:
    try:
        entry = json.loads((data or {})[key])
    except ValueError as error:
        raise SpecError(f"ConfigMap {CONFIG_MAP}, key {key}: not JSON ({error})") from None
    if not isinstance(entry, dict):
        raise SpecError(f"ConfigMap {CONFIG_MAP}, key {key}: want a JSON object")
    return entry


def _frozen(value: Any) -> Any:  # noqa: ANN401 - any JSON
    return tuple(value) if isinstance(value, list) else value
