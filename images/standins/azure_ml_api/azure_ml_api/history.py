"""The run history: what a job says of itself, and what it left in the workspace's storage.

What a job left is made when it is asked for: a log of one line, and a file in each named output.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from azure_ml_api.world import ENDS

if TYPE_CHECKING:
    from azure_ml_api.world import Run, World

ARTIFACTS = "workspaceartifactstore"
"""The datastore of logs, which is a container of its own."""
LOG = "user_logs/std_log.txt"
ONE = re.compile(r"/history/.*/runs/([^/]+)(/details)?")
RUNS = "ExperimentRun/dcid."


def answer(world: World, path: str, body: bytes) -> dict[str, Any] | None:
    """What a call for a run, or for where its outputs lie, is answered with; None for any other call."""
    if run := ONE.fullmatch(path):
        return details(world, run[1])
    if path.startswith("/history/") and path.endswith("/rundata"):
        return data(world, json.loads(body)["runId"])
    if path.startswith("/data/") and path.endswith("/batchGetResolvedUris"):
        return resolved(json.loads(body)["values"])
    return None


def details(world: World, name: str) -> dict[str, Any]:
    """State, times and error of a run."""
    path, run = world.run_named(name)
    found: dict[str, Any] = {"runId": name, "status": run.state, "startTimeUtc": run.began.isoformat()}
    found["logFiles"] = {LOG: f"{world.url}/joblogs/{name}"}
    found["properties"] = world.get(path)["properties"].get("properties") or {}
    if run.state in ("Failed", "NotResponding"):
        found["error"] = {"error": {"code": "UserError", "message": run.error or "the user's code failed"}}
    if run.state == "Canceled":
        found["warnings"] = [{"source": "stand-in", "message": run.error or "somebody cancelled it"}]
    return found


def data(world: World, name: str) -> dict[str, Any]:
    """A run with its named outputs, of which each is an asset."""
    path, run = world.run_named(name)
    outputs = [one for one in world.get(path)["properties"].get("outputs") or {} if one != "default"]
    if run.state in ENDS:
        _leave(world, name, run, outputs)
    assets = {one: {"assetId": f"azureml://stand-in/{name}/{one}", "type": "uri_folder"} for one in outputs}
    return {"runMetadata": {"runId": name, "outputs": assets}}


def resolved(assets: list[str]) -> dict[str, Any]:
    """Where assets that are outputs lie."""
    places = {asset: asset.removeprefix("azureml://stand-in/") for asset in assets}
    root = "azureml://datastores/workspaceblobstore/paths/azureml"
    return {"values": {asset: {"uri": f"{root}/{place}/", "type": "uri_folder"} for asset, place in places.items()}}


def artifacts(name: str) -> dict[str, str]:
    """The output `default` of a job that has ended: its logs."""
    return {"jobOutputType": "uri_folder", "uri": f"azureml://datastores/{ARTIFACTS}/{RUNS}{name}"}


def _leave(world: World, name: str, run: Run, outputs: list[str]) -> None:
    world.storage.put("artifacts", f"{RUNS}{name}/{LOG}", log(name, run.state))
    for one in outputs:
        world.storage.put("azureml", f"azureml/{name}/{one}/part-0.txt", f"{one} of {name}\n")


def log(name: str, state: str = "") -> str:
    """What a job prints; the name of its state at the end, once it is over."""
    return f"hello from {name}\n" + (f"{state}\n" if state in ENDS else "")
