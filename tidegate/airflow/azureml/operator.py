"""What every operator of Azure Machine Learning has in common: a step `azure_ml` that does one action.

The specification of what is made is the SDK's own YAML, as text, or the same as a dict. It is templated by Airflow
like every parameter of a step; Azure's own expressions, `${{inputs.data}}`, are left alone. `set` lays single values
over it, and there outputs of other tasks may stand: `set={"inputs.model.path": register.output["id"]}`. `files` are
put beside it as they are, for the relative paths in it (`code: src`): a pod does not see the folder of DAGs.

XComs: `return_value`, the action's result as an object; `studio_url`, and for a job `job_id` and `job_end_point`, as
soon as they are known.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tidegate.airflow.azureml.links import StudioLink
from tidegate.airflow.step_operator import StepOperator

STEP = "azure_ml"
CODE = "code"
"""Name of the input that is unpacked beside the specification: a folder or an archive in a store."""

MOST = 100_000
"""Characters of all parameters: they travel in one environment variable, of which Linux takes 128 KiB."""

_JINJA = ("{{", "{%", "{#")


class AzureMachineLearningOperator(StepOperator):
    """One action on a workspace.

    Args:
        action: What to do; see `python -m jobs azure_ml --help`.
        conn_id: The Airflow connection, of type `azure_machine_learning`. Any number of them in one DAG.
        arguments: Parameters of the action; those that are None are left out.
        code: URL or path in the store of a folder or an archive, unpacked beside the specification.
        requirements: Pins of packages that this task has in other versions than its image, `azure-ai-ml==1.35.2`: its
            pod installs them into a virtual environment of its own, so several versions work side by side.
        kwargs: Options of `StepOperator` and of any Airflow task.
    """

    ui_color = "#ffffff"
    ui_fgcolor = "#0078d4"
    operator_extra_links: ClassVar[tuple[StudioLink, ...]] = (StudioLink(),)  # type: ignore[misc]

    def __init__(
        self,
        *,
        action: str,
        conn_id: str,
        arguments: Mapping[str, Any] | None = None,
        code: str | None = None,
        requirements: Sequence[str] | None = None,
        **kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> None:
        given = {name: value for name, value in (arguments or {}).items() if value is not None}
        given |= {"requirements": list(requirements)} if requirements else {}
        _refuse_large(given, action)
        inputs = {**(kwargs.pop("inputs", None) or {}), **({CODE: code} if code else {})}
        super().__init__(
            step=STEP, step_params={"action": action, **given}, inputs=inputs, credentials=conn_id, **kwargs
        )
        self.conn_id = conn_id


def specification(spec: Any, *, what: str) -> str:  # noqa: ANN401 - a dict or text
    """Return a specification as text in which only Airflow's templates are templates.

    Raises:
        TypeError: It is an object of the SDK: a DAG file does not import that, it takes seconds at every parse.
    """
    if isinstance(spec, Mapping):
        spec = json.dumps(spec, ensure_ascii=False)
    if not isinstance(spec, str):
        raise TypeError(f"{what} is a {type(spec).__name__}; write the SDK's YAML, as text or as a dict")
    return spec.replace("${{", "{{ '${{' }}")


def verbatim(files: Mapping[str, str] | None) -> dict[str, Any] | None:
    """Return files so that they arrive as they are: what looks like a template travels in base64."""
    return {name: _untouched(text) for name, text in files.items()} if files else None


def beside(dag_file: str, folder: str) -> dict[str, str]:
    """Return the text files below a folder beside a DAG file, by their paths in it.

    They are read whenever the DAG is parsed, so keep them few and small; larger ones belong into a store (`code`).

    Args:
        dag_file: `__file__` of the DAG.
        folder: Relative to its folder.
    """
    root = Path(dag_file).parent / folder
    found = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    if not found:
        raise FileNotFoundError(f"there are no files in {root}")
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in found}


def _untouched(text: str) -> Any:  # noqa: ANN401 - text, or an object that holds it
    if any(mark in text for mark in _JINJA):
        return {"base64": base64.b64encode(text.encode()).decode()}
    return text


def _refuse_large(given: Mapping[str, Any], action: str) -> None:
    size = len(json.dumps(given, default=str))
    if size > MOST:
        raise ValueError(f"{action}: its parameters have {size} characters, at most {MOST} fit; use `code` for files")
