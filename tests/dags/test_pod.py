"""The pod that is built: what is in it, and what never is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.dags.conftest import entry
from tests.dags.test_identity import RUN
from tests.helm.restricted import violations
from tidegate.airflow.pod import build_pod
from tidegate.airflow.spec import step_spec


def build(*, params: dict[str, Any] | None = None, **changes: object) -> dict[str, Any]:
    spec = step_spec("train_model", {"train_model": entry("train_model", **changes)})
    inputs = {"data": "s3://tidegate/data/petrol_consumption.csv"}
    output = "s3://tidegate/runs/petrol/r/train_model"
    return build_pod(spec, RUN, namespace="tidegate-steps", params=params or {}, inputs=inputs, output=output)


def environment(pod: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in pod["spec"]["containers"][0]["env"]}


def test_the_contract_arrives_as_json() -> None:
    found = environment(build(params={"n_estimators": 200, "target": "Größe"}))
    assert json.loads(found["TIDEGATE_PARAMS"]) == {"n_estimators": 200, "target": "Größe"}
    assert json.loads(found["TIDEGATE_INPUTS"]) == {"data": "s3://tidegate/data/petrol_consumption.csv"}
    assert json.loads(found["TIDEGATE_RUN"]) == RUN.document()
    assert found["TIDEGATE_OUTPUT"] == "s3://tidegate/runs/petrol/r/train_model"
    assert found["AWS_REGION"] == "us-east-1"


def test_a_dollar_arrives_as_it_was_given() -> None:
    """Kubernetes replaces `$(NAME)`, and reads `$$` as `$`."""
    found = environment(build(params={"target": "$(AWS_SECRET_ACCESS_KEY) $5 $$"}))
    assert json.loads(found["TIDEGATE_PARAMS"].replace("$$", "$"))["target"] == "$(AWS_SECRET_ACCESS_KEY) $5 $$"
    assert "$(" not in found["TIDEGATE_PARAMS"].replace("$$", "")


def test_secrets_come_by_reference_from_the_steps_own_secret() -> None:
    found = environment(build())
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert found[key] == {"secretKeyRef": {"name": "step-train-model", "key": key}}


def test_restricted_is_kept() -> None:
    assert violations(build()) == []


@pytest.mark.parametrize("hole", ["runAsNonRoot", "seccompProfile"])
def test_the_walk_for_restricted_can_fail(hole: str) -> None:
    pod = build()
    del pod["spec"]["securityContext"][hole]
    assert violations(pod) != []


def test_root_is_read_only_and_only_scratch_can_be_written() -> None:
    container = build()["spec"]["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["volumeMounts"] == [{"name": "scratch", "mountPath": "/tmp"}]  # noqa: S108
    assert build()["spec"]["volumes"] == [{"name": "scratch", "emptyDir": {}}]


def test_the_pod_gets_no_token_no_service_variables_and_its_pipelines_account() -> None:
    spec = build()["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["serviceAccountName"] == "pipeline-petrol"


def test_the_pod_ends_by_itself_and_its_last_words_are_kept() -> None:
    spec = build(active_deadline_seconds=77)["spec"]
    assert (spec["activeDeadlineSeconds"], spec["restartPolicy"]) == (77, "Never")
    assert spec["containers"][0]["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert len(spec["containers"]) == 1


def test_where_and_how_it_runs_comes_from_the_chart() -> None:
    toleration = {"key": "gpu", "operator": "Exists"}
    spec = build(node_selector={"a": "b"}, tolerations=[toleration], image_pull_secrets=["mirror"])["spec"]
    assert (spec["nodeSelector"], spec["tolerations"]) == ({"a": "b"}, [toleration])
    assert spec["imagePullSecrets"] == [{"name": "mirror"}]
    assert spec["containers"][0]["resources"]["limits"] == {"memory": "256Mi"}


def test_the_same_call_builds_the_same_pod() -> None:
    assert json.dumps(build(params={"b": 1, "a": 2})) == json.dumps(build(params={"a": 2, "b": 1}))


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        build(params={"test_size": float("nan")})


def test_labels_of_the_values_stand_beside_ours_and_never_in_their_place() -> None:
    own = {"azure.workload.identity/use": "true", "tidegate.dev/step": "another"}
    labels = build(labels=own)["metadata"]["labels"]
    assert labels["azure.workload.identity/use"] == "true"
    assert labels["tidegate.dev/step"] == "train_model"
