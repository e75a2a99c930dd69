"""Azure Machine Learning for DAG files: operators that run the step `azure_ml`, without importing Azure's SDK.

    from tidegate.airflow.azureml import AzureMachineLearningCreateJobOperator, beside

The operators have the names and arguments of `airflow-provider-azure-machinelearning`; where that took an object of
the SDK, these take its YAML, as text or as a dict.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.airflow.azureml.assets import (
        AzureMachineLearningCreateDataOperator,
        AzureMachineLearningCreateEnvironmentOperator,
        AzureMachineLearningLoadAndRegisterComponentOperator,
        AzureMachineLearningRegisterModelOperator,
    )
    from tidegate.airflow.azureml.computes import (
        AzureMachineLearningCreateComputeResourceOperator,
        AzureMachineLearningDeleteComputeResourceOperator,
        AzureMachineLearningStartComputeResourceOperator,
        AzureMachineLearningStopComputeResourceOperator,
    )
    from tidegate.airflow.azureml.endpoints import (
        AzureMachineLearningCreateEndpointOperator,
        AzureMachineLearningDeleteEndpointOperator,
        AzureMachineLearningDeployEndpointOperator,
        AzureMachineLearningInvokeEndpointOperator,
        AzureMachineLearningPingOperator,
    )
    from tidegate.airflow.azureml.jobs import (
        AzureMachineLearningCancelJobOperator,
        AzureMachineLearningCreateJobOperator,
        AzureMachineLearningWaitForJobOperator,
    )
    from tidegate.airflow.azureml.operator import beside

__all__ = [
    "AzureMachineLearningCancelJobOperator",
    "AzureMachineLearningCreateComputeResourceOperator",
    "AzureMachineLearningCreateDataOperator",
    "AzureMachineLearningCreateEndpointOperator",
    "AzureMachineLearningCreateEnvironmentOperator",
    "AzureMachineLearningCreateJobOperator",
    "AzureMachineLearningDeleteComputeResourceOperator",
    "AzureMachineLearningDeleteEndpointOperator",
    "AzureMachineLearningDeployEndpointOperator",
    "AzureMachineLearningInvokeEndpointOperator",
    "AzureMachineLearningLoadAndRegisterComponentOperator",
    "AzureMachineLearningPingOperator",
    "AzureMachineLearningRegisterModelOperator",
    "AzureMachineLearningStartComputeResourceOperator",
    "AzureMachineLearningStopComputeResourceOperator",
    "AzureMachineLearningWaitForJobOperator",
    "beside",
]

_MODULES = ("assets", "computes", "endpoints", "jobs", "operator")


def __getattr__(name: str) -> object:
    """Import an operator when it is asked for: the triggerer, which reads connections here, needs none."""
    if name in __all__:
        for module in _MODULES:
            found = getattr(import_module(f"{__name__}.{module}"), name, None)
            if found is not None:
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
