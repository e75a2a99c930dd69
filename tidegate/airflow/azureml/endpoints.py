"""Endpoints, online and batch: made, deployed to, asked, deleted; and a look whether a workspace answers at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tidegate.airflow.azureml.operator import AzureMachineLearningOperator, specification, verbatim

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPES = ("online", "batch")


class AzureMachineLearningCreateEndpointOperator(AzureMachineLearningOperator):
    """See to it that an endpoint is there; one of that name is left as it is.

    Args:
        endpoint: Its YAML, as text or as a dict.
        endpoint_type: online or batch; needed only where the YAML's `$schema` does not say it.
        waiting: True waits until it can be used.
        set: Single values laid over `endpoint`, by dotted path.
        kwargs: As for `AzureMachineLearningOperator`.
    """

    def __init__(
        self,
        *,
        endpoint: Mapping[str, Any] | str,
        endpoint_type: str | None = None,
        waiting: bool = False,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - the word of Azure's own command line
        **kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> None:
        arguments = {
            "spec": specification(endpoint, what="endpoint"),
            "endpoint_type": _checked(endpoint_type),
            "waiting": waiting,
            "set": set,
        }
        super().__init__(action="endpoint ensure", arguments=arguments, **kwargs)


class AzureMachineLearningDeleteEndpointOperator(AzureMachineLearningOperator):
    """Delete an endpoint with its deployments.

    Args:
        endpoint_name: Its name.
        endpoint_type: online or batch.
        waiting: True waits until it is gone.
        missing_ok: True is content where there is none; a teardown wants that.
        kwargs: As for `AzureMachineLearningOperator`.
    """

    def __init__(
        self,
        *,
        endpoint_name: str,
        endpoint_type: str,
        waiting: bool = False,
        missing_ok: bool = False,
        **kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> None:
        arguments = {
            "name": endpoint_name,
            "endpoint_type": _checked(endpoint_type),
            "waiting": waiting,
            "missing_ok": missing_ok,
        }
        super().__init__(action="endpoint delete", arguments=arguments, **kwargs)


class AzureMachineLearningDeployEndpointOperator(AzureMachineLearningOperator):
    """Deploy to an endpoint; a failure carries Azure's own words.

    Args:
        deployment: Its YAML, as text or as a dict.
        endpoint_type: online or batch; needed only where the YAML's `$schema` does not say it.
        waiting: True waits until it serves; wanted by `traffic` and `default`.
        traffic: Online: percent by deployment, such as `{"blue": 100}`.
        default: Batch: make it the endpoint's default.
        set: Single values laid over `deployment`, by dotted path.
        files: Text by relative path, beside the YAML.
        kwargs: As for `AzureMachineLearningOperator`.
    """

    def __init__(
        self,
        *,
        deployment: Mapping[str, Any] | str,
        endpoint_type: str | None = None,
        waiting: bool = False,
        traffic: Mapping[str, int] | None = None,
        default: bool | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - the word of Azure's own command line
        files: Mapping[str, str] | None = None,
        **kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> None:
        if (traffic or default) and not waiting:
            raise ValueError("traffic and default want waiting=True: they are set once the deployment serves")
        arguments = {
            "spec": specification(deployment, what="deployment"),
            "endpoint_type": _checked(endpoint_type),
            "waiting": waiting,
            "traffic": traffic,
            "default": default,
            "set": set,
            "files": verbatim(files),
        }
        super().__init__(action="deploy", arguments=arguments, **kwargs)


class AzureMachineLearningInvokeEndpointOperator(AzureMachineLearningOperator):
    """Ask an endpoint: online gives its reply, batch starts a job, once however often the task runs.

    Args:
        endpoint_name: Its name.
        endpoint_type: online or batch.
        deployment_name: One deployment of it; otherwise as traffic or default say.
        request: Online: the body, as text or as an object.
        request_input: Batch: inputs by name, `{"type": "uri_folder", "path": …}`.
        waiting: Batch: True waits for the job's end.
        run_timeout: Batch: seconds that the job may run.
        kwargs: As for `AzureMachineLearningOperator`.
    """

    def __init__(
        self,
        *,
        endpoint_name: str,
        endpoint_type: str,
        deployment_name: str | None = None,
        request: Any = None,  # noqa: ANN401 - JSON, or its text
        request_input: Mapping[str, Any] | None = None,
        waiting: bool | None = None,
        run_timeout: float | None = None,
        **kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> None:
        text = request if request is None or isinstance(request, str) else json.dumps(request, ensure_ascii=False)
        arguments = {
            "name": endpoint_name,
            "endpoint_type": _checked(endpoint_type),
            "deployment": deployment_name,
            "request": text,
            "request_input": request_input,
            "waiting": waiting,
            "run_timeout": run_timeout,
        }
        super().__init__(action="endpoint invoke", arguments=arguments, **kwargs)


class AzureMachineLearningPingOperator(AzureMachineLearningOperator):
    """Sign in from a pod and read the workspace: what the form's Test button cannot do for a pod's own identity."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own
        super().__init__(action="ping", **kwargs)


def _checked(endpoint_type: str | None) -> str | None:
    if endpoint_type is not None and endpoint_type not in TYPES:
        raise ValueError(f"endpoint_type is {endpoint_type!r}, want online or batch")
    return endpoint_type
