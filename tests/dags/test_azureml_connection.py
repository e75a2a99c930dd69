"""The connection type `azure_machine_learning`: its form, what it stores, what a pod gets of it, and its hook."""

from __future__ import annotations

import json
import tomllib
import warnings
from configparser import ConfigParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import airflow
import jsonschema
import pytest
from airflow.sdk import BaseHook, Connection
from packaging.metadata import Metadata
from packaging.requirements import Requirement

from tests.dags.conftest import ROOT
from tidegate.airflow.azureml.connection import credentials, workspace_of
from tidegate.airflow.azureml.hook import AzureMachineLearningHook
from tidegate.airflow.provider import get_provider_info
from tidegate.airflow.spec import SpecError

if TYPE_CHECKING:
    from tests.dags.conftest import Fork

SECRET = "correct-horse-battery"
LONG = "extra__azure_machine_learning__"
PLACE = {"subscriptionId": "sub", "resource_group_name": "group", "workspace_name": "space"}
EXTRA = {"tenantId": "tenant", **PLACE}


def connection(extra: dict[str, Any] | None = None, **fields: Any) -> Connection:
    given = {"login": "app", "password": SECRET, **fields}
    text = json.dumps(EXTRA if extra is None else extra)
    return Connection(conn_id="AML", conn_type="azure_machine_learning", extra=text, **given)


FORM = """
import json, sys
assert "flask_appbuilder" not in sys.modules
sys.modules["flask_appbuilder"] = sys.modules["wtforms"] = None
sys.path.insert(0, sys.argv[1])
from airflow.providers_manager import ProvidersManager
found = ProvidersManager()
kind = "azure_machine_learning"
hook = found.hooks[kind]
fields = {name: field.field["schema"]["title"] for name, field in found.connection_form_widgets.items() if kind in name}
print("FORM", json.dumps([hook.hook_name, hook.connection_testable, fields, dict(found.field_behaviours[kind])]))
"""


def test_airflow_shows_the_form_without_flask_appbuilders_widgets(fork: Fork, tmp_path: Path) -> None:
    """By what the image ships: its own metadata, found by Airflow itself, with no widget of a hook."""
    (tmp_path / "tidegate-0.1.0.dist-info").symlink_to(ROOT / "images/airflow/tidegate.dist-info")
    done = fork(FORM, str(tmp_path))
    assert done.returncode == 0, done.stderr[-2000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("FORM "))
    name, testable, fields, behaviour = json.loads(line.removeprefix("FORM "))
    assert (name, testable) == ("Azure Machine Learning", True)
    assert behaviour["hidden_fields"] == ["schema", "port", "host", "extra"]
    assert behaviour["relabeling"] == {"login": "Client ID", "password": "Secret"}
    labels = {
        f"{LONG}tenantId": "Tenant ID",
        f"{LONG}subscriptionId": "Subscription ID",
        f"{LONG}resource_group_name": "Resource Group Name",
        f"{LONG}workspace_name": "Workspace Name",
    }
    assert labels.items() <= fields.items()


def test_the_images_metadata_says_what_the_package_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    folder = ROOT / "images/airflow/tidegate.dist-info"
    parser = ConfigParser()
    parser.read(folder / "entry_points.txt")
    assert {name: dict(parser[name]) for name in parser.sections()} == project["entry-points"]
    assert f"Version: {project['version']}" in (folder / "METADATA").read_text()
    dockerfile = (ROOT / "images/airflow/Dockerfile").read_text()
    assert f"tidegate-{project['version']}.dist-info/" in dockerfile


def test_pip_can_read_what_the_package_says_that_it_needs() -> None:
    """A stray quote after a version made the original's only release one that pip refuses."""
    text = (ROOT / "images/airflow/tidegate.dist-info/METADATA").read_bytes()
    assert Metadata.from_email(text, validate=True).name == "tidegate"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"]]
    wanted += [one for group in project["dependency-groups"].values() for one in group if isinstance(one, str)]
    assert all(Requirement(one).name for one in wanted)


def test_the_metadata_fits_airflows_schema() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


@pytest.mark.parametrize("prefix", ["", LONG])
def test_short_and_long_keys_are_read(prefix: str) -> None:
    found = workspace_of(connection({f"{prefix}{name}": value for name, value in EXTRA.items()}))
    assert (found.subscription_id, found.resource_group, found.workspace) == ("sub", "group", "space")
    assert (found.tenant_id, found.client_id, found.client_secret) == ("tenant", "app", SECRET)


def test_a_short_key_wins_over_a_long_one() -> None:
    found = workspace_of(connection({**EXTRA, f"{LONG}workspace_name": "old"}))
    assert found.workspace == "space"


def test_all_that_is_missing_is_told_at_once_by_the_forms_labels() -> None:
    with pytest.raises(SpecError) as told:
        workspace_of(connection({}, login=None, password=None), ready=True)
    for label in ("Client ID", "Secret", "Tenant ID", "Subscription ID", "Resource Group Name", "Workspace Name"):
        assert label in str(told.value)


def test_a_missing_login_does_not_speak_of_the_tenant() -> None:
    with pytest.raises(SpecError, match=r"AML lacks Client ID$"):
        workspace_of(connection(login=None), ready=True)


def test_what_a_pod_gets() -> None:
    found = credentials(connection({**EXTRA, "cloud": "AzureChinaCloud", "authority": "https://a"}))
    assert found.plain == {
        "AZURE_ML_SUBSCRIPTION_ID": "sub",
        "AZURE_ML_RESOURCE_GROUP": "group",
        "AZURE_ML_WORKSPACE": "space",
        "AZURE_ML_TENANT_ID": "tenant",
        "AZURE_ML_CLIENT_ID": "app",
        "AZURE_ML_CLOUD": "AzureChinaCloud",
        "AZURE_ML_AUTHORITY": "https://a",
    }
    assert found.secret == {"AZURE_ML_CLIENT_SECRET": SECRET}
    assert SECRET not in repr(found)
    assert SECRET not in repr(workspace_of(connection()))


def test_workload_identity_needs_no_secret() -> None:
    found = credentials(connection({**PLACE, "auth_mode": "workload_identity"}, login=None, password=None))
    assert (found.secret, found.existing) == ({}, "")
    assert found.plain["AZURE_ML_AUTH_MODE"] == "workload_identity"
    typed = credentials(connection({**EXTRA, "auth_mode": "workload_identity"}))
    assert typed.secret == {}, "it comes first: what was typed as well is not handed on"


def test_a_secret_of_the_cluster_is_named_instead() -> None:
    found = credentials(connection({**EXTRA, "secret_name": "aml"}, password=None))
    assert (found.secret, found.existing) == ({}, "aml")
    assert "AZURE_ML_CLIENT_SECRET" in found.keys
    assert "AZURE_ML_CLIENT_ID" not in found.keys, "the form has it"


def test_a_certificate_is_a_secret() -> None:
    found = credentials(connection({**EXTRA, "certificate": "PEM", "certificate_password": "x"}, password=None))
    assert found.secret == {"AZURE_ML_CERTIFICATE": "PEM", "AZURE_ML_CERTIFICATE_PASSWORD": "x"}


@pytest.mark.parametrize(
    ("extra", "fields", "said"),
    [
        ({**EXTRA, "auth_mode": "magic"}, {}, "auth_mode is 'magic'"),
        ({**EXTRA, "auth_mode": "client_secret"}, {"password": None}, "auth_mode is client_secret, but there is none"),
        (PLACE, {"login": None}, "lacks Client ID, Tenant ID"),
    ],
)
def test_what_cannot_sign_in_is_told_before_a_pod_starts(
    extra: dict[str, Any], fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        credentials(connection(extra, **fields))


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> AzureMachineLearningHook:
    monkeypatch.setattr(BaseHook, "get_connection", lambda *_: connection())
    return AzureMachineLearningHook(azure_machine_learning_conn_id="AML")


def test_the_hook_gives_the_six_parts(hook: AzureMachineLearningHook, caplog: pytest.LogCaptureFixture) -> None:
    assert hook.get_credentials() == ("sub", "group", "space", "tenant", "app", SECRET)
    assert caplog.text == ""


def test_the_hook_without_a_connection_says_so() -> None:
    with pytest.raises(SpecError, match="name a connection"):
        AzureMachineLearningHook().get_credentials()


def test_two_clients_of_a_hook_are_one_of_the_sdks_own(
    hook: AzureMachineLearningHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")  # the SDK sets it: put back afterwards
    with warnings.catch_warnings(action="ignore"):  # the SDK warns of itself when it is imported
        client = hook.get_client()
    assert hook.get_client() is client
    assert (client.subscription_id, client.resource_group_name, client.workspace_name) == ("sub", "group", "space")


def test_the_client_says_who_it_is(hook: AzureMachineLearningHook) -> None:
    assert hook.get_package_signature().startswith("tidegate")
    assert AzureMachineLearningHook.conn_name_attr == "azure_machine_learning_conn_id"


def test_the_test_button_tells_what_only_a_pod_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseHook, "get_connection", lambda *_: connection({**PLACE, "auth_mode": "workload_identity"}))
    done, said = AzureMachineLearningHook("AML").test_connection()
    assert (done, "ping" in said) == (False, True)


def test_the_test_button_tells_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseHook, "get_connection", lambda *_: connection({}))
    assert AzureMachineLearningHook("AML").test_connection() == (
        False,
        "connection AML lacks Subscription ID, Resource Group Name, Workspace Name",
    )
