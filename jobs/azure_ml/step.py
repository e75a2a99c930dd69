"""What azure_ml can be told, and the way to the action that is asked for."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any

from jobs.azure_ml import actions, virtualenv
from jobs.azure_ml.connection import Connection
from jobs.azure_ml.logs import poll_often
from tidegate.step import BadSettings, Input, Prefix, Result, Run, Store, param, setting


@dataclass(frozen=True, kw_only=True)
class Settings(Connection):
    """What azure_ml can be told."""

    action: str = param(choices=tuple(actions.ACTIONS))
    """What to do. Parameters that are not of the action are refused."""
    name: str = param("")
    """Of the compute, endpoint or job. Of a job, empty stands for this run's own."""
    spec: str = param("")
    """The specification: YAML in the SDK's own schema. A job's `name` in it is not used: the run names its job."""
    set: dict[str, Any] = param({})
    """Values laid over the specification, by dotted path: `{"inputs.learning_rate": 0.9}`."""
    files: dict[str, Any] = param({})
    """Small files beside the specification: relative path to text, or to `{"base64": text}`."""
    endpoint_type: str = param("", choices=("", actions.ONLINE, actions.BATCH))
    """Which kind of endpoint; of a specification, only where its `$schema` does not say it."""
    deployment: str = param("")
    """Which deployment of the endpoint is asked; empty leaves it to the endpoint."""
    request: str = param("")
    """What an online endpoint is asked: JSON text."""
    request_input: dict[str, Any] = param({})
    """What a batch endpoint reads: input name to `{"type", "path"}` or `{"type", "default"}`."""
    traffic: dict[str, Any] = param({})
    """Percent of an online endpoint's traffic by deployment, set once this one stands: `{"blue": 100}`."""
    default: bool = param(False)
    """Whether a batch endpoint's deployment becomes its default once it stands."""
    waiting: bool = param(True)
    """Whether to wait for the end."""
    missing_ok: bool = param(False)
    """Whether deleting what is not there is fine."""
    queue_timeout: float = param(0, at_least=0)
    """Seconds until a job must run; then it is cancelled, and the step fails. 0 for any time."""
    run_timeout: float = param(0, at_least=0)
    """Seconds that a job may run; then it is cancelled, and the step fails. 0 for any time."""
    again: bool = param(False)
    """Whether a job of an earlier try that completed does not count."""
    download: str = param("", choices=("", "logs", "all"))
    """What an ended job left that is kept under the output: nothing, its logs, or its named outputs as well."""
    code: Input | None = None
    """A folder (ending in `/`) or an archive (.zip, .tar.gz) that is laid out beside the specification."""
    requirements: list[str] = param([])
    """Packages that this task has in other versions than the image, as pins: `azure-ai-ml==1.35.2`. They are installed
    into a virtual environment over the image's packages, from pip's index, when the task begins."""
    poll: float = setting("AZURE_ML_POLL_SECONDS", 10.0, above=0)
    """Seconds between two looks at what is waited for."""
    patience: float = setting("AZURE_ML_PATIENCE_SECONDS", 900.0, at_least=0)
    """Seconds that Azure may be unreachable or refuse a token while something is waited for."""
    submit: float = setting("AZURE_ML_SUBMIT_SECONDS", 3600.0, above=0)
    """Seconds that a submission may take, with its uploads; and a download, and an installation of packages."""
    show_logs: bool = setting("AZURE_ML_SHOW_LOGS", True)
    """Whether a job's own log is printed as it comes."""
    run: Run
    """Whose job it is."""
    output: Prefix | None = None
    """Where the reply of an online endpoint goes, and what is kept of a job."""


def run(settings: Settings, store: Store) -> Result:
    """Do what `action` says, in a virtual environment where packages are asked for."""
    refuse(settings)
    if settings.requirements and not os.environ.get(virtualenv.ENTERED):
        virtualenv.enter(settings.requirements, seconds=settings.submit)
    poll_often(settings.poll)
    from jobs.azure_ml.work import perform  # noqa: PLC0415 - the SDK takes seconds to import

    return perform(settings, store)


def refuse(settings: Settings) -> None:
    """Refuse what the action lacks or does not have, all at once.

    Raises:
        BadSettings: It lacks or has some.
    """
    blank = {field.name: _default(field) for field in dataclasses.fields(settings)}
    given = {name for name in actions.OF_ACTIONS if getattr(settings, name) != blank[name]}
    faults = actions.faults(settings.action, given)
    if settings.code and "spec" not in actions.ACTIONS[settings.action].needs:
        faults.append(f"$TIDEGATE_INPUTS.code is not of `{settings.action}`, which has no specification")
    if not settings.waiting and settings.download:
        faults.append("$TIDEGATE_PARAMS.waiting is false; download wants to wait for the job's end")
    if not settings.waiting and (settings.traffic or settings.default):
        faults.append("$TIDEGATE_PARAMS.waiting is false; traffic and default want to wait for the deployment")
    if faults:
        raise BadSettings(*faults)


def _default(field: dataclasses.Field[Any]) -> Any:  # noqa: ANN401
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
