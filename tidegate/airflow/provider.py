"""What Airflow is told of this package: connection types with their forms, and links.

Read through the entry point `apache_airflow_provider`; imports nothing, since every process of Airflow reads it.
"""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": ["string", "null"]}


def get_provider_info() -> dict[str, Any]:
    """Return it in the shape of Airflow's `provider_info.schema.json`."""
    return {
        "package-name": "tidegate",
        "name": "Tidegate",
        "description": "Steps in pods of their own; Azure Machine Learning.",
        "connection-types": [
            {
                "connection-type": "azure_machine_learning",
                "hook-name": "Azure Machine Learning",
                "hook-class-name": "tidegate.airflow.azureml.hook.AzureMachineLearningHook",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port", "host", "extra"],
                    "relabeling": {"login": "Client ID", "password": "Secret"},
                    "placeholders": {},
                },
                "conn-fields": _FIELDS,
            }
        ],
        "extra-links": ["tidegate.airflow.azureml.links.StudioLink"],
    }


def _field(label: str, description: str, **schema: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON schema
    return {"label": label, "description": description, "schema": {**_TEXT, **schema}}


_FIELDS = {
    "tenantId": _field("Tenant ID", "Directory of the service principal."),
    "subscriptionId": _field("Subscription ID", "Subscription of the workspace."),
    "resource_group_name": _field("Resource Group Name", "Resource group of the workspace."),
    "workspace_name": _field("Workspace Name", "The workspace."),
    "secret_name": _field(
        "Secret in Kubernetes", "A Secret of the steps' namespace with AZURE_ML_CLIENT_SECRET, instead of Secret."
    ),
    "auth_mode": _field(
        "How to sign in",
        "auto takes the first of these that the pod has.",
        enum=["auto", "workload_identity", "certificate", "client_secret", "managed_identity"],
        default="auto",
    ),
    "identity_client_id": _field("Identity's Client ID", "Which managed identity, where the pod has several."),
    "cloud": _field("Cloud", "AzureCloud (default), AzureChinaCloud or AzureUSGovernment."),
    "authority": _field("Authority", "Address of Entra, such as https://login.microsoftonline.com."),
    "resource_manager": _field("Resource Manager", "Address of a private Azure Resource Manager."),
    "certificate": _field("Certificate", "PEM text, certificate and private key.", format="password"),
    "certificate_password": _field("Certificate's Password", "Of its private key.", format="password"),
    "ca": _field("CA to trust", "PEM text, beside the public ones."),
}
