"""Azure Machine Learning, below a workspace: what is there, how it is made, and what becomes of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from azure_ml_api.history import ARTIFACTS, artifacts
from azure_ml_api.world import ENDS, Refused, definition

if TYPE_CHECKING:
    from azure_ml_api.world import World

WORKSPACE = re.compile(
    r"(?i)(/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.MachineLearningServices/workspaces/([^/]+))(/.*)?"
)
SLOW = ("computes", "onlineendpoints", "batchendpoints")
SOON = {"retry-after-ms": "100"}
"""The SDK waits 30 s where it is not told when to ask for an operation again."""
STORE = "workspaceblobstore"
TAKEN = (
    "A job with this name already exists. If you are trying to create a new job, use a different name. If you are "
    "trying to update an existing job, the existing job's definition cannot be changed: only description, tags, "
    "displayName, properties, and isArchived can be updated."
)
Answer = tuple[int, Any, dict[str, str]]


def answer(world: World, method: str, path: str, body: bytes) -> Answer:
    """Status, document and headers for a call below a workspace."""
    found = WORKSPACE.fullmatch(path)
    if not found:
        raise Refused(404, "NotFound", f"There is nothing at {path}")
    root, name, below = found[1], found[2], found[3] or ""
    if not below:
        return 200, _workspace(world, root, name), {}
    if method == "POST":
        return _act(world, path, below, body)
    if below.lower().startswith("/datastores"):
        return 200, _store(world, root, below), {}
    if method == "GET":
        return 200, _get(world, path, below), {}
    if method in ("PUT", "PATCH"):
        return _put(world, root, path, below, json.loads(body))
    if method == "DELETE":
        world.drop(path)
        operation = world.operation()
        return 202, None, {"Azure-AsyncOperation": operation, "Location": operation, **SOON}
    raise Refused(405, "MethodNotAllowed", method)


def _workspace(world: World, root: str, name: str) -> dict[str, Any]:
    if name.startswith("missing"):
        raise Refused(404, "ResourceNotFound", f"The Resource 'workspaces/{name}' was not found.")
    properties = {
        "discoveryUrl": f"{world.url}/discovery",
        "workspaceId": str(uuid5(NAMESPACE_URL, root)),
        "mlFlowTrackingUri": "azureml://stand-in",
        "storageAccount": f"{root}/storage",
    }
    kind = "Microsoft.MachineLearningServices/workspaces"
    return {"id": root, "name": name, "type": kind, "location": "standin", "properties": properties}


def _store(world: World, root: str, below: str) -> dict[str, Any]:
    """A datastore by its name, or the list of those that are the default."""
    name = below.partition("/datastores/")[2] or STORE
    world.storage.container(_container_of(name))
    properties = {
        "datastoreType": "AzureBlob",
        "accountName": world.storage.account,
        "containerName": _container_of(name),
        "endpoint": world.storage.suffix,
        "protocol": "https",
        "isDefault": name == STORE,
        "credentials": {"credentialsType": "Sas"},
        "serviceDataAccessAuthIdentity": "None",
    }
    found = {"id": f"{root}/datastores/{name}", "name": name, "properties": properties}
    return found if "/datastores/" in below else {"value": [found]}


def _container_of(datastore: str) -> str:
    return "artifacts" if datastore == ARTIFACTS else "azureml"


def _act(world: World, path: str, below: str, body: bytes) -> Answer:
    verb = below.rpartition("/")[2].lower()
    target = path.rpartition("/")[0]
    if verb == "listsecrets":
        return 200, {"secretsType": "Sas", "sasToken": world.storage.sas(_container_of(below.split("/")[2]))}, {}
    if verb == "startpendingupload":
        return 200, _upload(world, below), {}
    if verb == "listkeys":
        return 200, {"primaryKey": "endpoint-key-1", "secondaryKey": "endpoint-key-2"}, {}
    if verb == "cancel":
        world.get(target)
        world.runs[target.lower()].cancel()
        return _started(world)
    if verb in ("start", "stop") and "/computes/" in below.lower():
        compute = world.get(target)
        compute["properties"].setdefault("properties", {})["state"] = "Running" if verb == "start" else "Stopped"
        world.put(target, compute)
        return _started(world)
    raise Refused(404, "NotFound", f"There is nothing to do at {path}: {body[:50]!r}")


def _started(world: World) -> Answer:
    operation = world.operation()
    return 202, None, {"Azure-AsyncOperation": operation, "Location": operation, **SOON}


def _upload(world: World, below: str) -> dict[str, Any]:
    """A container of its own for each asset and version, and the signature that opens it."""
    container = f"asset-{uuid5(NAMESPACE_URL, below).hex}"
    url = f"{world.url}{world.storage.container(container)}"
    credential = {"credentialType": "SAS", "sasUri": f"{url}?{world.storage.sas(container)}"}
    reference = {"blobUri": url, "storageAccountArmId": "/stand-in", "credential": credential}
    kind = "TemporaryBlobReference"
    return {"pendingUploadId": "1", "pendingUploadType": kind, "blobReferenceForConsumption": reference}


def _get(world: World, path: str, below: str) -> dict[str, Any]:
    parts = below.strip("/").split("/")
    if len(parts) % 2:
        return {"value": sorted(world.below(path), key=_newest)}
    found = world.get(path)
    if parts[0].lower() == "jobs":
        run = world.runs[path.lower()]
        found["properties"]["status"] = run.look()
        if run.state in ENDS:
            outputs = found["properties"].get("outputs") or {}
            found["properties"]["outputs"] = {**outputs, "default": artifacts(found["name"])}
    return found


def _newest(resource: dict[str, Any]) -> tuple[int, str]:
    name = str(resource["name"])
    return (-int(name) if name.isdecimal() else 0, name)


def _put(world: World, root: str, path: str, below: str, document: dict[str, Any]) -> Answer:
    parts = below.strip("/").split("/")
    kind, there = parts[0].lower(), path.lower() in world.resources
    if kind == "jobs":
        return (200 if there else 201), _job(world, root, path, document), {}
    if (kind in SLOW and below.count("/") == 2) or "/deployments/" in below:  # noqa: PLR2004 (kind and name)
        return _slow(world, path, below, document)
    if there and kind in ("data", "models") and _path(world.get(path)) != _path(document):
        raise Refused(409, "UserError", "The asset's path is immutable: it is registered with another one.")
    _container(world, path, parts)
    properties = document.setdefault("properties", {})
    for name in ("tags", "properties", *(("flavors",) if kind == "models" else ())):
        if properties.get(name) is None:
            properties[name] = {}
    return (200 if there else 201), world.put(path, document), {}


def _path(document: dict[str, Any]) -> str:
    properties = document.get("properties", {})
    return str(properties.get("dataUri") or properties.get("modelUri"))


def _container(world: World, path: str, parts: list[str]) -> None:
    """What holds an asset's versions knows the latest and the next."""
    if len(parts) != 4 or parts[2].lower() != "versions":  # noqa: PLR2004 (asset, name, versions, version)
        return
    numbers = [int(parts[3])] if parts[3].isdecimal() else [0]
    numbers += [int(one["name"]) for one in world.below(path.rpartition("/")[0]) if one["name"].isdecimal()]
    versions = {"latestVersion": parts[3], "nextVersion": str(max(numbers) + 1), "tags": {}, "properties": {}}
    world.put(path.rpartition("/versions/")[0], {"properties": versions})


def _job(world: World, root: str, path: str, document: dict[str, Any]) -> dict[str, Any]:
    """Make a job, or update the little that may be changed of one that is there."""
    name = path.rpartition("/")[2]
    if path.lower() in world.resources:
        if world.resources[path.lower()]["definition"] != definition(document):
            raise Refused(400, "UserError", TAKEN)
        return {
            **world.get(path),
            "properties": {**world.get(path)["properties"], "status": world.runs[path.lower()].state},
        }
    run = world.begin(path, document.get("properties", {}).get("tags") or {})
    made = {**document, "definition": definition(document)}
    made["properties"] = {**made["properties"], "status": run.state}
    page = f"{world.url}/runs/{name}?wsid={root}"
    made["properties"]["services"] = {"Studio": {"jobServiceType": "Studio", "endpoint": page}}
    if made["properties"].get("jobType") == "Sweep":
        made["properties"]["properties"] = {
            "best_child_run_id": f"{name}_0",
            **(made["properties"].get("properties") or {}),
        }
    return world.put(path, made)


def _slow(world: World, path: str, below: str, document: dict[str, Any]) -> Answer:
    """A resource whose making is an operation."""
    fails = "fake_fails" in json.dumps([document.get("tags"), document.get("properties", {}).get("description")])
    there = path.lower() in world.resources
    properties = document.setdefault("properties", {})
    properties["provisioningState"] = "Failed" if fails else "Succeeded"
    if "/deployments/" in below:
        properties.setdefault("scaleSettings", {"scaleType": "Default"})
    elif "ndpoints/" in below:
        properties["scoringUri"] = f"{world.url}/score{path}"
        properties["swaggerUri"] = f"{world.url}/swagger{path}"
    made = world.put(path, document)
    headers = {"Azure-AsyncOperation": world.operation(fails=fails), **SOON}
    return (
        (200 if there else 201),
        {**made, "properties": {**made["properties"], "provisioningState": "Creating"}},
        headers,
    )


def score(world: World, path: str, headers: dict[str, str], body: bytes) -> Answer:
    """Ask an endpoint: a reply of an online one, a job of a batch one."""
    world.get(path)
    if "/onlineendpoints/" in path.lower():
        deployment = headers.get("azureml-model-deployment", "")
        return 200, {"predictions": [1, 2, 3], "deployment": deployment, "asked": json.loads(body or b"null")}, {}
    properties = json.loads(body)["properties"]
    name = properties.get("name") or properties.get("jobName") or str(uuid5(NAMESPACE_URL, f"{len(world.runs)}"))
    root = path.partition("/batchEndpoints")[0]
    target = f"{root}/jobs/{name}"
    if target.lower() in world.resources:
        raise Refused(400, "UserError", TAKEN)
    document = {"properties": {"jobType": "Pipeline", "displayName": name, "tags": {}, "properties": {}}}
    job = _job(world, root, target, document)
    return 201, {"id": target, "name": name, "type": "batch", "properties": {"status": job["properties"]["status"]}}, {}
