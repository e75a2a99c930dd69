"""Who signs in and how, what Entra and Azure refuse, and that no secret is left anywhere."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests import forked
from tests.jobs.azure_ml.conftest import LOADED, MOST_SECONDS
from tests.jobs.azure_ml.specs import COMMAND, FILES
from tidegate.step import AccessDenied, BadSettings, NotFound, StepError, TryAgain

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.jobs.azure_ml.conftest import Step
    from tests.jobs.azure_ml.fake import Fake


def test_ping_signs_in_and_looks_at_the_workspace(fake: Fake, step: Step) -> None:
    value = step.value("ping")
    assert (value["workspace"], value["location"], value["signed_in_by"]) == ("ws", "standin", "client_secret")
    assert value["studio_url"].startswith(f"{fake.url}/home?wsid=/subscriptions/")


def test_several_workspaces_in_one_process(step: Step) -> None:
    for name in ("first", "second"):
        assert f"/workspaces/{name}" in step.value("ping", AZURE_ML_WORKSPACE=name)["id"]


def test_all_that_a_connection_lacks_is_told_at_once(step: Step) -> None:
    with pytest.raises(BadSettings) as caught:
        step("ping", AZURE_ML_SUBSCRIPTION_ID="", AZURE_ML_WORKSPACE="")
    assert [fault.partition(" ")[0] for fault in caught.value.faults] == [
        "$AZURE_ML_SUBSCRIPTION_ID",
        "$AZURE_ML_WORKSPACE",
    ]
    with pytest.raises(BadSettings, match="signing in by client_secret wants it") as caught:
        step("ping", AZURE_ML_TENANT_ID="", AZURE_ML_CLIENT_ID="")
    assert len(caught.value.faults) == 2


def test_a_wrong_secret_is_refused_with_entras_words_and_what_to_correct(step: Step) -> None:
    with pytest.raises(AccessDenied, match=r"(?s)401.*AADSTS7000215.*correct the connection's client id, secret"):
        step("ping", AZURE_ML_CLIENT_SECRET="wrong-secret")


@pytest.mark.parametrize(
    ("status", "fault", "said"),
    [
        (401, AccessDenied, "correct the connection's client id, secret and tenant"),
        (403, AccessDenied, "role Contributor on the workspace's resource group"),
        (404, NotFound, "404"),
        (429, TryAgain, "429"),
        (500, TryAgain, "500"),
    ],
)
def test_what_azure_refuses_is_told_apart(
    fake: Fake, step: Step, status: int, fault: type[StepError], said: str
) -> None:
    fake.admin.tell("GET", "status", match="/workspaces/ws", times=20, status=status)
    with pytest.raises(fault, match=said) as caught:
        step("ping")
    assert str(status) in str(caught.value)


def test_a_throttled_call_is_tried_again_but_not_for_long(fake: Fake, step: Step) -> None:
    fake.admin.tell("GET", "status", match="/workspaces/ws", status=429, headers={"Retry-After": "1"})
    assert step.value("ping")["workspace"] == "ws"
    fake.admin.tell("GET", "status", match="/workspaces/ws", times=9, status=429, headers={"Retry-After": "3600"})
    with pytest.raises(TryAgain, match="is throttled for 3600 s"):
        step("ping")


def test_an_entra_that_is_broken_is_another_fault_than_a_wrong_secret(fake: Fake, step: Step) -> None:
    fake.admin.tell("POST", "status", match="/oauth2/", times=50, status=503)
    with pytest.raises(TryAgain):
        step("ping")


def test_a_workspace_that_is_not_there_is_named(step: Step) -> None:
    with pytest.raises(NotFound, match=r"workspace missing-ws: 404.*was not found"):
        step("ping", AZURE_ML_WORKSPACE="missing-ws")


def test_a_certificate_authority_that_is_none_is_refused(step: Step) -> None:
    with pytest.raises(BadSettings, match=r"\$AZURE_ML_CA is no certificate"):
        step("ping", AZURE_ML_CA="hello")


def variables(step: Step, folder: Path, *, secret: str) -> dict[str, str]:
    """Those of a process that submits a job; what it leaves behind, it leaves below `folder`."""
    params: dict[str, Any] = {"action": "job submit", "spec": COMMAND, "files": FILES}
    environ = step.environment(params, run={}, more={"AZURE_ML_CLIENT_SECRET": secret})
    return {**environ, "PATH": os.environ["PATH"], "TMPDIR": str(folder)}


def assert_nothing_secret(fake: Fake, folder: Path, done: subprocess.CompletedProcess[str], *secrets: str) -> None:
    left = done.stdout + done.stderr + fake.log.read_text()
    left += "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())
    for part in (fake.secret, *secrets, "eyJhbGciOi", "sig=", "endpoint-key"):
        assert part not in left, part


def test_as_people_call_it_it_leaves_no_secret_behind(fake: Fake, step: Step, tmp_path: Path) -> None:
    """The specification and its code are files. That it begins alone as well, `test_virtualenv` shows."""
    (tmp_path / "job" / "src").mkdir(parents=True)
    (tmp_path / "job" / "src" / "main.py").write_text(FILES["src/main.py"])
    (tmp_path / "job" / "spec.yml").write_text(COMMAND)
    command = ["-m", "jobs.azure_ml", "job", "submit", "--spec", "job/spec.yml"]
    environ = variables(step, tmp_path, secret=fake.secret)
    done = forked.run(command, env=environ, cwd=tmp_path, timeout=MOST_SECONDS - 10, loaded=LOADED)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["value"]["status"] == "Completed"
    assert_nothing_secret(fake, tmp_path, done)


def test_as_a_step_with_a_wrong_secret_it_leaves_none_behind(fake: Fake, step: Step, tmp_path: Path) -> None:
    wrong = "wrong/secret+with=signs"
    environ = variables(step, tmp_path, secret=wrong)
    done = forked.run(["-m", "jobs", "azure_ml"], env=environ, cwd=tmp_path, timeout=MOST_SECONDS - 10, loaded=LOADED)
    assert done.returncode == 2, done.stderr
    assert "AADSTS7000215" in done.stderr
    assert_nothing_secret(fake, tmp_path, done, wrong)
