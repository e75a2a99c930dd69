"""Compute: clusters and instances, made, deleted, started, stopped.

A cluster that a DAG makes should go with it, also when a task between fails: `delete.as_teardown(setups=create)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegate.airflow.azureml.operator import AzureMachineLearningOperator, specification

if TYPE_CHECKING:
    from collections.abc import Mapping


class AzureMachineLearningCreateComputeResourceOperator(AzureMachineLearningOperator):
    """See to it that a cluster or an instance is there; one of that name is left as it is.

    `return_value`: name, type, status, studio_url, created. What is not "not found" is a failure, never a create.

    Args:
        compute: Its YAML, as text or as a dict: `{"name": "cpu", "type": "amlcompute", "size": …}`.
        waiting: True waits until it can be used.
        set: Single values laid over `compute`, by dotted path.
        kwargs: As for `AzureMachineLearningOperator`.
    """

    def __init__(
        self,
        *,
        compute: Mapping[str, Any] | str,
        waiting: bool = True,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - the word of Azure's own command line
        **kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> None:
        arguments = {"spec": specification(compute, what="compute"), "waiting": waiting, "set": set}
        super().__init__(action="compute ensure", arguments=arguments, **kwargs)


class AzureMachineLearningDeleteComputeResourceOperator(AzureMachineLearningOperator):
    """Delete a cluster or an instance.

    Args:
        compute_name: Its name.
        waiting: True waits until it is gone.
        missing_ok: True is content where there is none; a teardown wants that.
        kwargs: As for `AzureMachineLearningOperator`.
    """

    def __init__(
        self,
        *,
        compute_name: str,
        waiting: bool = True,
        missing_ok: bool = False,
        **kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> None:
        arguments = {"name": compute_name, "waiting": waiting, "missing_ok": missing_ok}
        super().__init__(action="compute delete", arguments=arguments, **kwargs)


class _Power(AzureMachineLearningOperator):
    """Switch a compute instance.

    Args:
        compute_name: Its name.
        waiting: True waits until it is done.
        kwargs: As for `AzureMachineLearningOperator`.
    """

    verb = ""

    def __init__(self, *, compute_name: str, waiting: bool = True, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own
        super().__init__(action=f"compute {self.verb}", arguments={"name": compute_name, "waiting": waiting}, **kwargs)


class AzureMachineLearningStartComputeResourceOperator(_Power):
    """Start a compute instance; arguments as for the operator that deletes one."""

    verb = "start"


class AzureMachineLearningStopComputeResourceOperator(_Power):
    """Stop a compute instance, which then costs nothing; arguments as for the operator that deletes one."""

    verb = "stop"
