"""Does one thing in an Azure Machine Learning workspace: a job, a compute, an asset, an endpoint.

Reads: `action` and what it wants, in `$TIDEGATE_PARAMS`; the specification is the SDK's own YAML, in `spec`. Input
`code`, where there is one: the folder that relative paths of the specification start from, as a prefix or an archive.
Writes: to the workspace; under the output, an online endpoint's reply, and where asked for, what a job left.
The result's `value` has names, versions, the state and the studio's page.
Again: does nothing twice. A job is named after its run, so the second execution finds the first one's: it waits for it
while it runs, returns what it came to, and submits anew only after it failed. Assets without a version are found by
the run's mark, everything else by its own name. SIGTERM leaves the job running for the next try, unless a person
stopped the task ($TIDEGATE_STOPPED_FILE says so): then it is cancelled. `job cancel` cancels it, too.
Signs in by workload identity where the pod has one, else by what the connection holds. `python -m jobs.azure_ml --help`
is the same as a command line for people.
"""

from __future__ import annotations

from jobs.azure_ml.step import Settings, run

__all__ = ["Settings", "run"]
