"""The ConfigMap `tidegate-steps` says what Airflow needs to start a step's pod."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.helm.renders import RENDERS, find, render, rendered
from tidegate.airflow.admission import limits
from tidegate.airflow.order import memory_cap
from tidegate.airflow.spec import step_spec
from tidegate.cluster.project import ROOT
from tidegate.ledger.admission import Limits

KEYS = {
    "active_deadline_seconds",
    "cancel_notice",
    "env",
    "image",
    "image_pull_policy",
    "image_pull_secrets",
    "labels",
    "memory_cap",
    "ledger",
    "node_selector",
    "resources",
    "secret",
    "secret_keys",
    "tolerations",
}
STEPS = sorted(path.stem for path in (ROOT / "jobs").iterdir() if not path.name.startswith("_"))
AWS_KEYS = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]


def steps(name: str) -> dict[str, Any]:
    data = find(render(name), "ConfigMap", "tidegate-steps")["data"]
    return {key: json.loads(value) for key, value in data.items()}


@pytest.mark.parametrize("name", RENDERS)
def test_every_step_is_described_in_full(name: str) -> None:
    found = steps(name)
    assert set(found.pop("_platform")) == {"store_root", "limits", "stores"}
    assert sorted(found) == STEPS
    assert {key: set(step) for key, step in found.items()} == dict.fromkeys(found, KEYS)
    assert all(step["resources"]["limits"]["memory"] for step in found.values())


@pytest.mark.parametrize("name", ["official", "standalone"])
def test_the_development_store_gives_each_step_an_account_of_its_own(name: str) -> None:
    documents = render(name)
    accounts = json.loads(_secret(documents, "versitygw-accounts")["users.json"])["accessAccounts"]
    for key, step in steps(name).items():
        if key != "_platform":
            secret = _secret(documents, step["secret"])
            assert sorted(step["secret_keys"]) == sorted(secret)
            assert set(AWS_KEYS) <= set(secret)
            account = accounts[secret["AWS_ACCESS_KEY_ID"]]
            assert (account["secret"], account["role"]) == (secret["AWS_SECRET_ACCESS_KEY"], "user")
            assert step["env"]["AWS_ENDPOINT_URL_S3"] == "http://versitygw.tidegate.svc:7070"
    assert len({account["secret"] for account in accounts.values()}) == len(accounts) == len(STEPS) + 1


def _secret(documents: list[dict[str, Any]], name: str) -> dict[str, str]:
    return {k: base64.b64decode(v).decode() for k, v in find(documents, "Secret", name)["data"].items()}


@pytest.mark.parametrize("name", ["official-production", "standalone-production"])
def test_a_real_cloud_needs_no_key(name: str) -> None:
    found = steps(name)
    assert found.pop("_platform") == {
        "store_root": "s3://example-tidegate",
        "stores": {"lake": "abfss://weather@example.dfs.core.windows.net"},
        "limits": {"cluster": 100},
    }
    keys = {name: step["secret_keys"] for name, step in found.items() if step["secret_keys"]}
    assert keys == {
        "dedup_people": ["PEOPLE_DATABASE_URL"],
        "fetch_weather": ["OPENWEATHERMAP_KEY"],
        "send_mail": ["PEOPLE_DATABASE_URL", "SMTP_USERNAME", "SMTP_PASSWORD"],
    }, "none of a store: the pipelines have identities"
    assert all(step["env"]["AWS_REGION"] == "eu-central-1" for step in found.values())
    assert [name for name, step in found.items() if any("ENDPOINT" in variable for variable in step["env"])] == []


def test_a_step_overrides_only_what_it_names() -> None:
    own = {"env": {"A": "2"}, "secretKeys": ["TOKEN"], "resources": {"limits": {"memory": "1Gi"}}}
    values = {"stepDefaults": {"env": {"A": "1", "B": "1"}}, "steps": {"hello": own}}
    step = json.loads(find(rendered(values), "ConfigMap", "tidegate-steps")["data"]["hello"])
    assert {key: step["env"][key] for key in "AB"} == {"A": "2", "B": "1"}
    assert step["secret_keys"] == ["TOKEN", *AWS_KEYS]
    assert step["resources"] == {"limits": {"memory": "1Gi"}, "requests": {"cpu": "50m", "memory": "64Mi"}}


def test_a_secret_of_ones_own_is_not_made() -> None:
    documents = rendered({"steps": {"hello": {"secret": "mine"}}})
    assert json.loads(find(documents, "ConfigMap", "tidegate-steps")["data"]["hello"])["secret"] == "mine"
    names = {d["metadata"]["name"] for d in documents if d["kind"] == "Secret"}
    assert names & {"mine", "step-hello"} == set()


def test_a_bucket_with_a_prefix_is_taken_apart() -> None:
    documents = rendered({"store": {"root": "s3://lake/teams/a/"}})
    job = find(documents, "Job", "devcloud-bucket-1")
    environment = {v["name"]: v.get("value") for v in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert (environment["BUCKET"], environment["PREFIX"]) == ("lake", "teams/a/")
    platform = json.loads(find(documents, "ConfigMap", "tidegate-steps")["data"]["_platform"])
    assert platform["store_root"] == "s3://lake/teams/a"


def test_what_the_chart_limits_is_what_airflow_reads() -> None:
    values = {"concurrency": {"cluster": 10, "pipelines": {"petrol": 2, "hello": 1}}}
    assert limits(find(rendered(values), "ConfigMap", "tidegate-steps")["data"]) == Limits(
        cluster=10, pipelines={"petrol": 2, "hello": 1}
    )
    assert limits(find(rendered({}), "ConfigMap", "tidegate-steps")["data"]) == Limits()


def test_more_memory_is_given_up_to_the_cap_of_the_step() -> None:
    values = {"stepDefaults": {"memoryCap": "1Gi"}, "steps": {"hello": {"memoryCap": "512Mi"}}}
    data = find(rendered(values), "ConfigMap", "tidegate-steps")["data"]
    assert [memory_cap(data, step) for step in ("hello", "train_model")] == ["512Mi", "1Gi"]
    data = find(rendered({}), "ConfigMap", "tidegate-steps")["data"]
    assert memory_cap(data, "hello") == ""


def test_the_ledgers_rules_are_the_steps_own_over_the_defaults() -> None:
    values = {"stepDefaults": {"ledger": {"ttlSeconds": 60}}, "steps": {"hello": {"ledger": {"params": ["name"]}}}}
    data = find(rendered(values), "ConfigMap", "tidegate-steps")["data"]
    rules = {"keyed_by_time": "none", "params": ["name"], "ttl_seconds": 60, "secret_versions": False}
    rules |= {"reuse": True, "verify": "version"}
    assert json.loads(data["hello"])["ledger"] == rules
    assert json.loads(data["upload_model"])["ledger"] == rules | {"keyed_by_time": "hour", "params": None}
    for name in ("hello", "upload_model"):
        assert step_spec(name, data).ledger.ttl_seconds == 60


def test_a_step_that_opts_in_lets_airflow_read_its_one_secret() -> None:
    documents = rendered({"steps": {"hello": {"ledger": {"secretVersions": True}}}})
    rules = find(documents, "Role", "tidegate-airflow")["rules"]
    reading = [rule for rule in rules if "secrets" in rule["resources"] and "get" in rule["verbs"]]
    assert reading == [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["step-hello"], "verbs": ["get"]}]


def test_the_store_is_started_anew_for_the_account_of_a_new_step_and_for_nothing_else() -> None:
    def mark(values: dict[str, Any]) -> dict[str, str]:
        template = find(rendered(values), "StatefulSet", "versitygw")["spec"]["template"]
        found: dict[str, str] = template["metadata"]["annotations"]
        return found

    assert mark({}) == mark({"steps": {"hello": {"env": {"A": "1"}}}})
    assert mark({}) != mark({"steps": {"count_rows": {"image": "tidegate/count_rows:0123456789ab"}}})
