"""Steps under a real ledger, on pods that are processes: where the tests of skipping and taking over play."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param

from tidegate.airflow.local_pods import LocalPods
from tidegate.airflow.steps import step
from tidegate.airflow.testing import StepRun, run_step
from tidegate.ledger import Ledger
from tidegate.ledger.report import uses
from tidegate.ledger.verify import NoStores

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tidegate.ledger.report import Use

IMAGE = "registry.example/work@sha256:" + "a" * 64

WRITES = """
import hashlib, json, os, pathlib
from tidegate.step import store_for
out = pathlib.Path(os.environ["TIDEGATE_OUTPUT"].removeprefix("file://"))
out.mkdir(parents=True, exist_ok=True)
body = (os.environ["TIDEGATE_PARAMS"] + os.environ["TIDEGATE_INPUTS"]).encode()
(out / "made").write_bytes(body)
with open(EFFECTS, "a") as effects:
    effects.write("once\\n")
url = (out / "made").as_uri()
made = {"name": "made", "url": url, "size": len(body), "etag": store_for(url).stat(url).etag,
        "sha256": hashlib.sha256(body).hexdigest()}
outputs = [made] if OUTPUTS else []
result = json.dumps({"outputs": outputs, "metrics": {"size": len(body)}, "summary": "made", **ADDS})
if len(result) > 4096:
    (out / "_RESULT.json").write_text(result)
    digest = hashlib.sha256(result.encode()).hexdigest()
    result = json.dumps({"result_url": (out / "_RESULT.json").as_uri(), "sha256": digest})
open(os.environ["TIDEGATE_RESULT"], "w").write(result)
"""
"""A step of few words: it writes what it was given, and leaves a line for each time it ran."""


@dataclass
class World:
    """One ledger, one store, one step `work`, and how often its pod ran."""

    folder: Path
    address: str
    image: str = IMAGE
    rules: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Any] = field(default_factory=lambda: {"limits": {"memory": "256Mi"}})
    secrets: dict[str, str] = field(default_factory=dict)
    outputs: bool = True
    adds: dict[str, Any] = field(default_factory=dict)
    """What its result holds besides."""
    before: str = ""
    """Python that the step runs before its work."""

    @property
    def ran(self) -> int:
        """How often a pod did its work."""
        path = self.folder / "effects"
        return len(path.read_text().splitlines()) if path.exists() else 0

    @property
    def config(self) -> dict[str, str]:
        """The ConfigMap's data."""
        entry = {"image": self.image, "resources": self.resources, "ledger": self.rules, "secret": "step-work"}
        platform = {"store_root": (self.folder / "store").as_uri(), "limits": self.limits}
        return {"_platform": json.dumps(platform), "work": json.dumps(entry)}

    def pods(self) -> LocalPods:
        """A cluster."""
        known = f"EFFECTS, OUTPUTS, ADDS = {str(self.folder / 'effects')!r}, {self.outputs}, {self.adds!r}"
        code = f"{known}\n{self.before}\n{WRITES}"
        pods = LocalPods(config=self.config, commands={"work": [sys.executable, "-c", code]})
        pods.secrets = dict(self.secrets)
        return pods

    def dag(self, *, params: Mapping[str, Any] | None = None, **options: Any) -> DAG:
        """A pipeline of the one step."""
        given = {"n": 1} if params is None else params
        with DAG("d", schedule=None, params={"other": Param(0)}) as dag:
            step("work", params=given, **options)
        return dag

    def run(self, run_id: str = "r", *, dag: DAG | None = None, task: str = "work", **more: Any) -> StepRun:
        """One run, to its end."""
        pods = self.pods()

        async def connect() -> LocalPods:
            return pods

        return run_step((dag or self.dag()).get_task(task), connect=connect, run_id=run_id, **more)

    def uses(self) -> list[Use]:
        """What the tries got, the newest first."""
        ledger = Ledger(self.address, probe=NoStores())
        try:
            return list(ledger.do(uses({}, limit=100)))
        finally:
            ledger.shut()
