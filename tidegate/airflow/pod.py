"""The one builder of pods: a pure function from what to run, for whom and on what, to a pod as Kubernetes JSON.

Plain JSON, because both Kubernetes clients (the worker's and the triggerer's) take it as it is. Every pod passes Pod
Security `restricted` and gets no token of the API server.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from tidegate.airflow import identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegate.airflow.identity import Identity
    from tidegate.airflow.spec import StepSpec

CONTAINER = "base"
"""Name of the container that runs the step."""

USER = 10001
"""User and group that steps run as; `images/base` makes it."""

GRACE_SECONDS = 30
"""Between SIGTERM and SIGKILL: time for a step to stop without leaving anything half done."""

SCRATCH = "/tmp"  # noqa: S108 - the pod's own, an emptyDir
"""The only place a step can write to on its pod."""

SCRATCH_VARIABLES = {"HOME": SCRATCH, "MPLCONFIGDIR": f"{SCRATCH}/matplotlib"}
"""Programs that want a place of their own for caches."""


def build_pod(
    spec: StepSpec,
    run: Identity,
    *,
    namespace: str,
    params: Mapping[str, Any],
    inputs: Mapping[str, str],
    output: str,
) -> dict[str, Any]:
    """Return the pod that runs a step once.

    Args:
        spec: How to run it.
        run: The try it belongs to; gives the pod's name.
        namespace: Where it runs.
        params: JSON values by name.
        inputs: Full URLs by name.
        output: Full URL of the prefix that the step owns.
    """
    contract = {
        "TIDEGATE_PARAMS": _json(params),
        "TIDEGATE_INPUTS": _json(inputs),
        "TIDEGATE_OUTPUT": output,
        "TIDEGATE_RUN": _json(run.document()),
    }
    metadata = {
        "name": identity.pod_name(spec.name, run),
        "namespace": namespace,
        "labels": {**spec.labels, **identity.labels(spec.name, run)},
        "annotations": {**identity.exact_ids(run), identity.WORK: _work(spec, params, inputs, output)},
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _pod_spec(spec, run, contract)}


def _work(spec: StepSpec, params: Mapping[str, Any], inputs: Mapping[str, str], output: str) -> str:
    """A digest of what the pod does, whichever try it does it for."""
    does = {"image": spec.image, "env": dict(spec.env), "params": params, "inputs": inputs, "output": output}
    return hashlib.sha256(_json(does).encode()).hexdigest()


def _pod_spec(spec: StepSpec, run: Identity, contract: Mapping[str, str]) -> dict[str, Any]:
    return {
        "containers": [_container(spec, contract)],
        "restartPolicy": "Never",
        "activeDeadlineSeconds": spec.active_deadline_seconds,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "serviceAccountName": identity.service_account(run.dag_id),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "nodeSelector": dict(spec.node_selector),
        "tolerations": [dict(toleration) for toleration in spec.tolerations],
        "imagePullSecrets": [{"name": name} for name in spec.image_pull_secrets],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    }


def _container(spec: StepSpec, contract: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": spec.image,
        "imagePullPolicy": spec.image_pull_policy,
        "env": _environment(spec, contract),
        "resources": {kind: dict(amounts) for kind, amounts in spec.resources.items()},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "scratch", "mountPath": SCRATCH}],
    }


def _environment(spec: StepSpec, contract: Mapping[str, str]) -> list[dict[str, Any]]:
    plain = {**SCRATCH_VARIABLES, **spec.env, **contract}
    secrets = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": spec.secret, "key": key}}} for key in spec.secret_keys
    ]
    return [{"name": name, "value": _literal(value)} for name, value in sorted(plain.items())] + secrets


def _literal(value: str) -> str:
    """Kubernetes replaces `$(NAME)` in values and reads `$$` as `$`: doubled, a value arrives as it was given."""
    return value.replace("$", "$$")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
