"""JSON schemas of Kubernetes' own kinds, for kubeconform, made from the API description in Kubernetes' Go module.

Reads: `api/openapi-spec/swagger.json` of the module `k8s.io/kubernetes`, in the version the node image is built from.
Writes: `<cache>/schemas/<key>/<kind>-<group>-<version>.json`. Again: made once.

Each file stands alone, and is strict: an object that has properties has no others. One kind that is not Kubernetes' own
stands below: what the chart uses of the Prometheus operator's rules.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tidegate.cluster import cache
from tidegate.cluster.programs import source

if TYPE_CHECKING:
    from pathlib import Path

Schema = dict[str, Any]

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
NUMBER_OR_TEXT: Schema = {"type": ["string", "number"]}
PREFIX = "#/definitions/"

LOCATION = "{{ .ResourceKind }}{{ .KindSuffix }}.json"
"""How kubeconform finds a kind's file in the folder."""


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


TEXT: Schema = {"type": "string", "minLength": 1}
TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_RULE = _object(["alert", "expr"], alert=TEXT, expr=TEXT, labels=TEXTS, annotations=TEXTS, **{"for": TEXT})
_GROUP = _object(["name", "rules"], name=TEXT, rules={"type": "array", "minItems": 1, "items": _RULE})
_SPEC = _object(["groups"], groups={"type": "array", "minItems": 1, "items": _GROUP})
RULES = (
    "prometheusrule-monitoring-v1",
    _object(
        ["apiVersion", "kind", "metadata", "spec"], apiVersion=TEXT, kind=TEXT, metadata={"type": "object"}, spec=_SPEC
    ),
)
"""https://github.com/prometheus-operator/prometheus-operator/blob/main/Documentation/api-reference/api.md"""


def folder() -> Path:
    """The folder with a schema for every kind."""
    description = source("kubernetes", "k8s.io/kubernetes") / "api" / "openapi-spec" / "swagger.json"

    def build(into: Path) -> None:
        for name, schema in [*kinds(json.loads(description.read_text())["definitions"]), RULES]:
            (into / f"{name}.json").write_text(json.dumps(schema))

    return cache.entry("schemas", cache.fingerprint(description, __doc__), build)


def kinds(definitions: dict[str, Schema]) -> list[tuple[str, Schema]]:
    """Every kind's file name and its schema with all that it refers to."""
    strict = {name: tightened(name, schema) for name, schema in definitions.items()}
    found = []
    for name, schema in definitions.items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            group = kind["group"].split(".")[0]
            words = [kind["kind"].lower(), *([group] if group else []), kind["version"]]
            reached = {other: strict[other] for other in reachable(name, strict)}
            found.append(("-".join(words), {"$ref": f"{PREFIX}{name}", "definitions": reached}))
    return found


def tightened(name: str, schema: Schema) -> Schema:
    """One definition, without room for keys it does not list."""
    if name in {QUANTITY, INT_OR_STRING}:
        return NUMBER_OR_TEXT
    if "properties" not in schema:
        return schema
    properties = {key: {k: v for k, v in value.items() if k != "format"} for key, value in schema["properties"].items()}
    return {**schema, "properties": properties, "additionalProperties": False}


def reachable(name: str, definitions: dict[str, Schema]) -> set[str]:
    """The names of all definitions that one needs, itself included."""
    todo, done = [name], set()
    while todo:
        current = todo.pop()
        if current not in done:
            done.add(current)
            todo += references(definitions[current])
    return done


def references(node: object) -> list[str]:
    """The names of the definitions a piece of schema points at."""
    if isinstance(node, dict):
        own = [node["$ref"].removeprefix(PREFIX)] if isinstance(node.get("$ref"), str) else []
        return own + [name for value in node.values() for name in references(value)]
    if isinstance(node, list):
        return [name for value in node for name in references(value)]
    return []
