"""`kubectl`, bound to one context: the only way this package talks to the Kubernetes API.

Reads and writes: the cluster of that context and nothing else, since every call names the context.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from tidegate.cluster import commands
from tidegate.cluster.programs import program

NAMESPACE = "tidegate"
"""Where the release lies."""

STEPS_NAMESPACE = "tidegate-steps"
"""Where steps run."""


@dataclass(frozen=True)
class Kubectl:
    """Calls to the cluster that `context` names in the kubeconfig. A call that fails raises `CommandFailed`."""

    context: str

    def command(self, *arguments: str) -> list[str]:
        """The whole command line, for showing or for a process of its own."""
        return [str(program("kubectl")), "--context", self.context, *arguments]

    def text(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
        """Standard output of one call."""
        return commands.output(self.command(*arguments), stdin=stdin, timeout=timeout)

    def read(self, *arguments: str, namespace: str = NAMESPACE) -> dict[str, Any]:
        """`kubectl get ... -o json`, parsed."""
        answer: dict[str, Any] = json.loads(self.text("get", "--namespace", namespace, *arguments, "-o", "json"))
        return answer

    def items(self, *arguments: str, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
        """The objects of a list."""
        found: list[dict[str, Any]] = self.read(*arguments, namespace=namespace)["items"]
        return found

    def secret(self, name: str, *, namespace: str = NAMESPACE) -> dict[str, str]:
        """A Secret's values, decoded. Nothing here prints them."""
        data: dict[str, str] = self.read("secret", name, namespace=namespace).get("data", {})
        return {key: base64.b64decode(value).decode() for key, value in data.items()}
