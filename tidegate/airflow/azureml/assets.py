"""Assets: environments, data, models and components, registered from their YAML.

`return_value`: name, version, id, path where there is one, studio_url, created. An asset without a version in its YAML
gets one from Azure, and a second execution of the same run returns that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegate.airflow.azureml.operator import AzureMachineLearningOperator, specification, verbatim

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Asset(AzureMachineLearningOperator):
    """Register an asset.

    Args:
        spec: Its YAML, as text or as a dict.
        set: Single values laid over it, by dotted path; outputs of other tasks may stand here.
        files: Text by relative path, beside the YAML.
        kwargs: As for `AzureMachineLearningOperator`.
    """

    kind = ""

    def __init__(
        self,
        *,
        spec: Mapping[str, Any] | str,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - the word of Azure's own command line
        files: Mapping[str, str] | None = None,
        **kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> None:
        arguments = {"spec": specification(spec, what=self.kind), "set": set, "files": verbatim(files)}
        super().__init__(action=self.kind, arguments=arguments, **kwargs)


class AzureMachineLearningCreateEnvironmentOperator(_Asset):
    """Register an environment.

    Args:
        environment: Its YAML, as text or as a dict.
        kwargs: `set`, `files`, and as for `AzureMachineLearningOperator`.
    """

    kind = "environment"

    def __init__(self, *, environment: Mapping[str, Any] | str, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own
        super().__init__(spec=environment, **kwargs)


class AzureMachineLearningCreateDataOperator(_Asset):
    """Register a data asset; local paths in it are uploaded to the workspace's own store.

    Args:
        data_asset: Its YAML, as text or as a dict.
        kwargs: `set`, `files`, and as for `AzureMachineLearningOperator`.
    """

    kind = "data"

    def __init__(self, *, data_asset: Mapping[str, Any] | str, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own
        super().__init__(spec=data_asset, **kwargs)


class AzureMachineLearningRegisterModelOperator(_Asset):
    """Register a model, from files or from a job's output (`azureml://jobs/<job>/outputs/…`).

    Args:
        model: Its YAML, as text or as a dict.
        kwargs: `set`, `files`, and as for `AzureMachineLearningOperator`.
    """

    kind = "model"

    def __init__(self, *, model: Mapping[str, Any] | str, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own
        super().__init__(spec=model, **kwargs)


class AzureMachineLearningLoadAndRegisterComponentOperator(_Asset):
    """Register a component; one of that name and version is left as it is.

    Args:
        component: Its YAML, as text or as a dict; or
        source: the path of its YAML among `files`.
        kwargs: `set`, `files`, and as for `AzureMachineLearningOperator`.
    """

    kind = "component"

    def __init__(
        self,
        *,
        component: Mapping[str, Any] | str | None = None,
        source: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> None:
        if source is not None:
            files = dict(kwargs.get("files") or {})
            if component is not None or source not in files:
                raise ValueError(f"source={source!r} is one of `files` ({', '.join(sorted(files))}), without component")
            component = files[source]
        super().__init__(spec=component or "", **kwargs)
