"""Jobs: command, sweep, AutoML, pipeline, parallel; submitted, waited for, cancelled.

A job's name follows from the DAG, the run and the task, so a retry finds the job instead of starting another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegate.airflow.azureml.operator import AzureMachineLearningOperator, specification, verbatim

if TYPE_CHECKING:
    from collections.abc import Mapping


class AzureMachineLearningCreateJobOperator(AzureMachineLearningOperator):
    """Submit a job, and wait for it if told to.

    `return_value`: name, status, studio_url, outputs by name, started, ended, attempt, and whether it was submitted.
    Fails, with Azure's own words, where the job ends as anything but Completed. Stopped in Airflow, it cancels the job.

    Args:
        job: The job's YAML, as text or as a dict.
        waiting: True waits for its end; False is done once it is submitted.
        set: Single values laid over `job`, by dotted path.
        files: Text by relative path, beside the job's YAML.
        queue_timeout_job: Seconds that it may wait for a machine.
        run_timeout: Seconds that it may run, from then on.
        again: True submits anew in a later try even where an earlier try's job completed.
        download: `logs` keeps the job's logs under the step's output once it has ended, `all` its named outputs too.
        kwargs: As for `AzureMachineLearningOperator`.
    """

    def __init__(
        self,
        *,
        job: Mapping[str, Any] | str,
        waiting: bool = False,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - the word of Azure's own command line
        files: Mapping[str, str] | None = None,
        queue_timeout_job: float | None = None,
        run_timeout: float | None = None,
        again: bool | None = None,
        download: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> None:
        arguments = {
            "spec": specification(job, what="job"),
            "waiting": waiting,
            "set": set,
            "files": verbatim(files),
            "queue_timeout": queue_timeout_job,
            "run_timeout": run_timeout,
            "again": again,
            "download": download,
        }
        if download and not waiting:
            raise ValueError("download is what a job left at its end: want waiting=True")
        super().__init__(action="job submit", arguments=arguments, **kwargs)


class AzureMachineLearningWaitForJobOperator(AzureMachineLearningOperator):
    """Wait for a job that somebody else submitted.

    Args:
        name: The job's name, such as `submit.output["job_id"]`.
        queue_timeout_job: As for the operator that submits one.
        run_timeout: As there.
        download: As there.
        kwargs: As for `AzureMachineLearningOperator`.
    """

    def __init__(
        self,
        *,
        name: Any,  # noqa: ANN401 - text, or another task's output
        queue_timeout_job: float | None = None,
        run_timeout: float | None = None,
        download: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> None:
        arguments = {"name": name, "queue_timeout": queue_timeout_job, "run_timeout": run_timeout}
        arguments |= {"download": download}
        super().__init__(action="job wait", arguments=arguments, **kwargs)


class AzureMachineLearningCancelJobOperator(AzureMachineLearningOperator):
    """Cancel a job; one that has ended is left as it is.

    Args:
        name: The job's name.
        waiting: True waits until Azure has stopped it.
        kwargs: As for `AzureMachineLearningOperator`.
    """

    def __init__(
        self,
        *,
        name: Any,  # noqa: ANN401 - text, or another task's output
        waiting: bool = True,
        **kwargs: Any,  # noqa: ANN401 - Airflow's own
    ) -> None:
        super().__init__(action="job cancel", arguments={"name": name, "waiting": waiting}, **kwargs)
