"""What a job left: its logs and named outputs, brought from the workspace's storage and kept under the step's output.

Every file goes to `<output>/<job>/`, by its path in the SDK's download: `artifacts/user_logs/std_log.txt`, or
`named-outputs/<name>/…`. `artifacts.json` beside them is written last and lists them with their sizes.
Again: the same job's files are written over with the same content.
The SDK holds each file in memory, so what is large is better left where it is, and read by its `azureml://` path.
"""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.azure_ml.faults import told
from jobs.azure_ml.waiting import bounded
from tidegate.step import BadInput, Output, Prefix, publish

if TYPE_CHECKING:
    from jobs.azure_ml.connection import Workspace
    from jobs.azure_ml.step import Settings

log = logging.getLogger(__name__)

LOGS, ALL = "logs", "all"
LIST = "artifacts.json"


def keep(space: Workspace, settings: Settings, name: str) -> Output:
    """Keep what an ended job left; returns the list of it.

    Raises:
        BadInput: The step has no output.
        StepError: Azure or the store does not let us.
    """
    if not settings.output:
        raise BadInput("$TIDEGATE_OUTPUT is not set; what a job left goes there")
    doing, root = f"downloading what job {name} left", Prefix(settings.output) / name
    with tempfile.TemporaryDirectory(prefix="azure-ml-left-") as folder:
        with told(doing):
            bounded(
                lambda: space.client.jobs.download(name, download_path=folder, all=settings.download == ALL),
                seconds=settings.submit,
                doing=doing,
            )
        listed = _kept(space, Path(folder), root)
    log.info("azure_ml: %d files that job %s left are below %s", len(listed), name, root)
    body = json.dumps({"job": name, "files": listed}, indent=4, sort_keys=True).encode()
    return publish(space.store, "artifacts", f"{root}/{LIST}", body)


def _kept(space: Workspace, folder: Path, root: str) -> list[dict[str, str | int]]:
    """Put every file below a folder into the store; returns path and size of each."""
    listed: list[dict[str, str | int]] = []
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        relative = path.relative_to(folder).as_posix()
        with path.open("rb") as file:
            stat = space.store.put(f"{root}/{relative}", file)
        listed.append({"path": relative, "bytes": stat.size})
    return listed
