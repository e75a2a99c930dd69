"""From inside a step's pod: no token, no API, no database, no Secret but its own, a root that nobody writes to.

What NetworkPolicies keep out is tested where a canary shows that the cluster enforces them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.security import ALLOWED, NOT_ENFORCED, TARGETS
from tidegate.cli.kubectl import STEPS_NAMESPACE

if TYPE_CHECKING:
    from tests.cluster.acts import Acts
    from tidegate.cli.kubectl import Kubectl


@pytest.fixture(scope="module")
def report(acts: Acts) -> dict[str, Any]:
    return acts.security.result().report


@pytest.fixture(scope="module")
def refusals(acts: Acts) -> tuple[int | str, ...]:
    """How a call without credentials ends: by a policy where there are any, else by who is called."""
    return ("unreachable",) if acts.security.result().enforced else (401, 403)


def test_there_is_no_token(report: dict[str, Any]) -> None:
    assert report["token_files"] == []


@pytest.mark.parametrize("call", ["secrets", "another_secret", "pods"])
def test_kubernetes_api_refuses(report: dict[str, Any], refusals: tuple[int | str, ...], call: str) -> None:
    assert report["answers"][call] in refusals


@pytest.mark.parametrize("call", ["airflow_dags", "airflow_variables", "execution_api"])
def test_airflows_api_refuses(report: dict[str, Any], refusals: tuple[int | str, ...], call: str) -> None:
    assert report["answers"][call] in refusals


@pytest.mark.parametrize("user", ["airflow", "ledger", "postgres"])
def test_the_databases_of_airflow_and_of_the_ledger_refuse(acts: Acts, report: dict[str, Any], user: str) -> None:
    """Both lie on one server, and a step has neither's password."""
    wanted = "unreachable" if acts.security.result().enforced else "wants a password"
    assert report["database"][user] == wanted


def test_no_other_steps_secret_is_there(report: dict[str, Any], kubectl: Kubectl) -> None:
    data = kubectl.read("configmap", "tidegate-steps", namespace=STEPS_NAMESPACE)["data"]
    keys = {name: set(json.loads(value).get("secret_keys", ())) for name, value in data.items()}
    own = keys.pop("run_command")
    others = set().union(*keys.values()) - own
    assert {"OPENWEATHERMAP_KEY", "PEOPLE_DATABASE_URL"} <= others
    assert others & set(report["variables"]) == set()
    assert own <= set(report["variables"])


def test_it_is_nobody_in_particular_and_can_become_nobody_else(report: dict[str, Any]) -> None:
    assert report["user"] == 10001
    assert {int(mask, 16) for mask in report["capabilities"]} == {0}
    assert report["no_new_privileges"] == "1"
    assert report["seccomp"] == "2", "filtered by the runtime's profile"


def test_only_its_scratch_folder_can_be_written(report: dict[str, Any]) -> None:
    assert report["writable"] == ["/tmp"]  # noqa: S108


def test_a_step_reaches_what_its_arrows_say_and_nothing_else(acts: Acts) -> None:
    seen = acts.security.result()
    if not seen.enforced:
        pytest.skip(NOT_ENFORCED)
    wanted = {name: name in ALLOWED for name in (*TARGETS, "kubernetes")}
    assert seen.report["reached"] == wanted
