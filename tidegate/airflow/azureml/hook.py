"""The hook of the connection type: for the Test button, and for people's own Python tasks.

Reads: one connection; Azure when asked to. Writes: nothing. Steps do not use it: they sign in inside their pod.
Nothing heavy is imported until it is needed: azure-identity to sign in, azure-ai-ml in `get_client` alone.
"""

from __future__ import annotations

import hashlib
import ssl
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from tidegate.airflow.azureml.connection import CONN_TYPE, WITHOUT_SECRET, Workspace, workspace_of
from tidegate.airflow.spec import SpecError

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.core.credentials import TokenCredential

CLOUDS = {
    "AzureCloud": ("https://login.microsoftonline.com", "https://management.azure.com"),
    "AzureChinaCloud": ("https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn"),
    "AzureUSGovernment": ("https://login.microsoftonline.us", "https://management.usgovcloudapi.net"),
}
"""By cloud, Entra's address and Azure Resource Manager's."""

API_VERSION = "2024-10-01"
SECONDS = 15.0

REFUSED = {
    401: "Azure does not accept the token: is the tenant the workspace's?",
    403: "signed in, but may not read the workspace: give the service principal the role Contributor on the group",
    404: "signed in, but there is no such workspace: look at subscription, resource group and workspace",
    429: "signed in, but Azure answers 'too many requests': try again in a minute",
}


class AzureMachineLearningHook(BaseHook):
    """A workspace of Azure Machine Learning.

    Args:
        azure_machine_learning_conn_id: The connection.
    """

    conn_name_attr = "azure_machine_learning_conn_id"
    conn_type = CONN_TYPE
    hook_name = "Azure Machine Learning"

    def __init__(self, azure_machine_learning_conn_id: str | None = None) -> None:
        super().__init__()
        self.azure_machine_learning_conn_id = azure_machine_learning_conn_id
        self.ml_client: MLClient | None = None

    @staticmethod
    def get_package_signature() -> str:
        """Return what the client calls itself."""
        try:
            return f"tidegate/{version('tidegate')}"
        except PackageNotFoundError:  # run from a checkout
            return "tidegate"

    def get_workspace(self) -> Workspace:
        """Return what the connection says.

        Raises:
            SpecError: No connection is named, or it lacks something; all that is missing is told at once.
        """
        if not self.azure_machine_learning_conn_id:
            raise SpecError("name a connection: AzureMachineLearningHook(azure_machine_learning_conn_id=…)")
        return workspace_of(self.get_connection(self.azure_machine_learning_conn_id), ready=True)

    def get_credentials(self) -> tuple[str, str, str, str, str, str]:
        """Return subscription, resource group, workspace, tenant, client id and secret; logs nothing of it."""
        found = self.get_workspace()
        place = (found.subscription_id, found.resource_group, found.workspace)
        return (*place, found.tenant_id, found.client_id, found.client_secret)

    def get_client(self) -> MLClient:
        """Return the SDK's client; the same one each time.

        Raises:
            SpecError: azure-ai-ml is not installed where this runs, or the connection lacks something.
        """
        if self.ml_client is None:
            self.ml_client = self._client(self.get_workspace())
        return self.ml_client

    def test_connection(self) -> tuple[bool, str]:
        """Sign in and read the workspace. Returns whether it went well, and what to say."""
        try:
            name = self.azure_machine_learning_conn_id
            connection = self.get_connection(str(name))
            found = workspace_of(connection)
            if found.auth_mode in WITHOUT_SECRET or (found.secret_name and not found.client_secret):
                return False, "only a pod can sign in this way; run the action `ping` with this connection"
            return self._read(workspace_of(connection, ready=True))
        except SpecError as fault:
            return False, str(fault)

    def _read(self, found: Workspace) -> tuple[bool, str]:
        import httpx  # noqa: PLC0415 - only for this
        from azure.core.exceptions import AzureError  # noqa: PLC0415

        manager = _manager(found)
        path = f"/subscriptions/{found.subscription_id}/resourceGroups/{found.resource_group}"
        path += f"/providers/Microsoft.MachineLearningServices/workspaces/{found.workspace}"
        try:
            token = self._credential(found).get_token(f"{manager}/.default").token
            headers = {"Authorization": f"Bearer {token}", "User-Agent": self.get_package_signature()}
            query = {"api-version": API_VERSION}
            with httpx.Client(verify=_trusted(found), timeout=SECONDS) as client:
                answer = client.get(f"{manager}{path}", params=query, headers=headers)
        except AzureError as fault:
            return False, f"cannot sign in: {_first_line(fault)}"
        except httpx.HTTPError as fault:
            return False, f"Azure Resource Manager cannot be reached: {type(fault).__name__}: {_first_line(fault)}"
        if answer.status_code != httpx.codes.OK:
            said = REFUSED.get(answer.status_code, "Azure cannot tell now, try again later")
            return False, f"{said} (HTTP {answer.status_code})"
        return True, f"workspace {found.workspace} in {answer.json().get('location', 'an unnamed place')}"

    def _credential(self, found: Workspace) -> TokenCredential:
        from azure.identity import ClientSecretCredential  # noqa: PLC0415 - half a second to import

        return ClientSecretCredential(
            found.tenant_id, found.client_id, found.client_secret, authority=_authority(found), **_network(found)
        )

    def _client(self, found: Workspace) -> MLClient:
        try:
            from azure.ai.ml import MLClient  # noqa: PLC0415 - two seconds and 100 MB, and not in Airflow's image
        except ImportError:
            raise SpecError(
                "azure-ai-ml is not installed here; use a step of tidegate.airflow.azureml, or install it for this task"
            ) from None
        return MLClient(
            self._credential(found),
            found.subscription_id,
            found.resource_group,
            found.workspace,
            user_agent=self.get_package_signature(),
            enable_telemetry=False,
            show_progress=False,
            **_cloud(found),
        )


def _authority(found: Workspace) -> str:
    return found.extra.get("authority") or CLOUDS[_cloud_name(found)][0]


def _manager(found: Workspace) -> str:
    return (found.extra.get("resource_manager") or CLOUDS[_cloud_name(found)][1]).rstrip("/")


def _cloud_name(found: Workspace) -> str:
    name = found.extra.get("cloud", "AzureCloud")
    if name not in CLOUDS:
        raise SpecError(f"connection {found.conn_id}: cloud is {name!r}, want {', '.join(CLOUDS)}")
    return name


def _cloud(found: Workspace) -> dict[str, Any]:
    """What tells the SDK of another cloud than the public one."""
    if found.extra.get("resource_manager"):
        raise SpecError(f"connection {found.conn_id} has a Resource Manager of its own: only steps can use it")
    return {"cloud": found.extra["cloud"]} if found.extra.get("cloud") else {}


def _network(found: Workspace) -> dict[str, Any]:
    """Few tries, since somebody waits; an Entra of one's own is not looked up at Microsoft's."""
    options: dict[str, Any] = {"retry_total": 1, "connection_timeout": SECONDS, "read_timeout": SECONDS}
    if found.extra.get("authority"):
        options["disable_instance_discovery"] = True
    if pem := found.extra.get("ca"):
        path = Path(tempfile.gettempdir()) / f"azureml-ca-{hashlib.sha256(pem.encode()).hexdigest()[:16]}.pem"
        path.write_text(pem)
        options["connection_verify"] = str(path)
    return options


def _trusted(found: Workspace) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if pem := found.extra.get("ca"):
        context.load_verify_locations(cadata=pem)
    return context


def _first_line(fault: Exception) -> str:
    return (str(fault).splitlines() or [type(fault).__name__])[0]
