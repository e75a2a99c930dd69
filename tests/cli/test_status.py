"""`tidegate status`: what is asked, what the answers mean, and what to do about what is not well."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tidegate.cli import airflow_api, app, release
from tidegate.cli.fault import Fault
from tidegate.cli.health import findings, gather, shown
from tidegate.cli.health.finding import Finding, Verdict
from tidegate.cli.health.gather import Answers
from tidegate.cli.kubectl import Kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 1, 31, 13, 0, tzinfo=UTC)
BAD, NOTE = Verdict.BAD, Verdict.NOTE
COUNTS: dict[str, Any] = {
    "running": 2,
    "lapsed": 0,
    "waiting": 1,
    "queued": 1,
    "succeeded": 40,
    "failed": 0,
    "hits": 12,
}
COUNTS["failures"] = {}
LEDGER = {"fault": "", "spooled": 0, "refused": 0, "seconds": 0.021, "counts": COUNTS}
ROOT_STORE = {"url": "s3://tidegate", "fault": "", "seconds": 0.1}
LAKE = {"url": "abfss://tidegate@lake", "fault": "", "seconds": 0.1}
HEALTH = {
    "metadatabase": {"status": "healthy"},
    "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": "2026-01-31T12:59:57+00:00"},
    "triggerer": {"status": "healthy", "latest_triggerer_heartbeat": "2026-01-31T12:59:59+00:00"},
    "dag_processor": {"status": "healthy", "latest_dag_processor_heartbeat": "2026-01-31T12:59:50+00:00"},
}


def before(**ago: float) -> str:
    return (NOW - timedelta(**ago)).isoformat()


def pod(name: str, *, ready: bool = True, restarts: int = 0, job: bool = False, **container: Any) -> dict[str, Any]:
    status = {"name": "main", "ready": ready, "restartCount": restarts, "state": {"running": {}}, **container}
    owners = [{"kind": "Job"}] if job else []
    return {
        "metadata": {"name": name, "creationTimestamp": before(hours=3), "ownerReferences": owners, "labels": {}},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [status],
        },
    }


def workload(*, wanted: int = 1, there: int = 0, why: str = "") -> dict[str, Any]:
    refused = [{"type": "ReplicaFailure", "status": "True", "message": why}] if why else []
    status: dict[str, Any] = {"conditions": [{"type": "Progressing", "status": "True", "message": "x"}, *refused]}
    status |= {"replicas": there} if there else {}
    return {"kind": "Deployment", "metadata": {"name": "w"}, "spec": {"replicas": wanted}, "status": status}


WELL = Answers(
    context="kind-x",
    release={"status": "deployed", "by": "the official chart"},
    pods=[pod("airflow-scheduler-0")],
    workloads=[workload(there=1)],
    airflow={"health": HEALTH, "runs": [{"dag": "petrol", "state": "success", "run": "r"}], "import_errors": []},
    ledger={"ledger": LEDGER, "stores": [ROOT_STORE, LAKE]},
    dags={"dags": {"commit": "0123456789abcdef0123", "since": before(minutes=5)}},
)


def judged(**changes: Any) -> dict[str, Finding]:
    return {one.what: one for one in findings.findings(replace(WELL, **changes), now=NOW)}


def test_where_all_is_well_nothing_is_to_be_done() -> None:
    found = judged()
    assert {one.verdict for one in found.values()} == {Verdict.OK}
    assert shown.to_do(list(found.values())) == []
    assert found["scheduler"].seen == "healthy, heartbeat 3 s ago"
    assert found["airflow-scheduler-0"].seen == "1/1 ready, 0 restarts, up 3 h"
    assert found["pipelines' files"].seen == "commit 0123456789ab, since 5 min"
    assert found["ledger"].seen == "answers in 21 ms; 2 open leases"
    assert found["steps"].seen == "2 running, 2 waiting; in the last hour 40 ran, 12 used a result, 0 failed"
    assert found["store s3://tidegate"].seen == "answers in 100 ms"


CREATING = {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
KILLED = {"lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": before(minutes=2)}}}
LONG_AGO = {"lastState": {"terminated": {"reason": "Error", "exitCode": 1, "finishedAt": before(days=2)}}}
SPOOLED = LEDGER | {"spooled": 2, "spooled_for": 30}
NEVER = {"scheduler": {"status": "unhealthy", "latest_scheduler_heartbeat": None}}
FAILED = COUNTS | {"failed": 3, "failures": {"out_of_memory": 2, "bad_input": 1}}

UNWELL: dict[str, tuple[dict[str, Any], str, Verdict, str, str]] = {
    "no release": ({"release": {"by": "?"}}, "release", BAD, "not installed", "make up"),
    "half-done": ({"release": {"status": "pending-upgrade", "by": "x"}}, "release", BAD, "pending-upgrade", "make up"),
    "no pods": ({"pods": []}, "pods", BAD, "none in namespace tidegate", "make up"),
    "no image": ({"pods": [pod("a", ready=False, **CREATING)]}, "a", BAD, "main: ImagePullBackOff", "images list"),
    "starting": ({"pods": [pod("a", ready=False)]}, "a", BAD, "main: starting; 0/1", "--context kind-x"),
    "restarted": ({"pods": [pod("a", restarts=1, **KILLED)]}, "a", NOTE, "restarted 2 min ago (OOM", "limits.memory"),
    "failed job": ({"pods": [pod("a", ready=False, job=True)]}, "a", NOTE, "starting", "describe pod a"),
    "refused": (
        {"workloads": [workload(why="exceeded quota: q")]},
        "w",
        BAD,
        "none of 1 pods: exceeded",
        "deployment w",
    ),
    "never made": ({"workloads": [workload(wanted=2)]}, "w", BAD, "none of 2 pods: none was made", "--context kind-x"),
    "switched off": ({"workloads": [workload(wanted=0)]}, "w", NOTE, "switched off", ""),
    "no API": ({"airflow": {"fault": "no way to it"}}, "Airflow's API", BAD, "no way to it", "api-server"),
    "no beat": ({"airflow": {"health": HEALTH | NEVER}}, "scheduler", BAD, "unhealthy", "component=scheduler"),
    "bad file": ({"airflow": {"health": {}, "import_errors": ["x.py"]}}, "DAG files", BAD, "x.py", "dags push"),
    "old image": ({"dags": {"fault": "`kubectl` ended:\nNo module"}}, "pipelines' files", NOTE, "No module", "make up"),
    "no ledger": ({"ledger": {"ledger": {"fault": "refused"}}}, "ledger", BAD, "refused", "written later"),
    "no probe": ({"ledger": {"fault": "no triggerer runs"}}, "ledger", BAD, "no triggerer runs", "every step runs"),
    "slow": ({"ledger": {"ledger": LEDGER | {"seconds": 3}}}, "ledger", NOTE, "3000 ms", "ledger gc"),
    "lapsed": ({"ledger": {"ledger": LEDGER | {"counts": COUNTS | {"lapsed": 3}}}}, "ledger", NOTE, "3 lapsed", "take"),
    "spooled": ({"ledger": {"ledger": SPOOLED}}, "rows written late", NOTE, "2 wait", "triggerer"),
    "stuck": ({"ledger": {"ledger": SPOOLED | {"spooled_for": 600}}}, "rows written late", BAD, "600 s", "its log"),
    "failures": ({"ledger": {"ledger": LEDGER | {"counts": FAILED}}}, "steps", NOTE, "bad_input 1, out_of", "list"),
    "no store": ({"ledger": {"stores": [ROOT_STORE | {"fault": "x"}]}}, "store s3://tidegate", BAD, "x", "store.root"),
    "no lake": (
        {"ledger": {"stores": [ROOT_STORE, LAKE | {"fault": "x"}]}},
        f"store {LAKE['url']}",
        NOTE,
        "x",
        "named",
    ),
    "failed run": (
        {"airflow": {"runs": [{"dag": "d", "state": "failed", "run": "r"}]}},
        "newest runs",
        NOTE,
        "d",
        "logs",
    ),
}


@pytest.mark.parametrize("case", UNWELL)
def test_what_is_not_well_is_told_with_what_to_do(case: str) -> None:
    changes, what, verdict, seen, do = UNWELL[case]
    finding = judged(**changes)[what]
    assert finding.verdict is verdict
    assert seen in finding.seen
    assert do in finding.do


def test_a_restart_of_long_ago_is_no_news_and_a_job_that_is_done_is_not_shown() -> None:
    done = pod("migrate", job=True)
    done["status"]["phase"] = "Succeeded"
    found = judged(pods=[pod("a", restarts=4, **LONG_AGO), done])
    assert found["a"].verdict is Verdict.OK
    assert "4 restarts" in found["a"].seen
    assert "migrate" not in found


def test_what_is_broken_comes_before_what_is_only_worth_knowing() -> None:
    found = [Finding(what="a", verdict=NOTE, seen="", do="x"), Finding(what="b", verdict=BAD, seen="", do="y")]
    assert shown.to_do(found) == ["b: y", "a: x"]


class FakeApi:
    """As much of Airflow's API as `status` asks."""

    def call(self, method: str, path: str) -> Any:
        assert (method, path) == ("GET", "monitor/health")
        return type("Answer", (), {"json": staticmethod(lambda: HEALTH)})

    def dag_ids(self) -> list[str]:
        return ["petrol", "weather"]

    def runs(self, dag_id: str, *, limit: int) -> list[dict[str, Any]]:
        return [{"state": "success", "dag_run_id": "r1"}][:limit] if dag_id == "petrol" else []

    def import_errors(self) -> list[dict[str, Any]]:
        return []


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A release with a triggerer and a DAG processor; what they are asked is kept."""
    state: dict[str, Any] = {"asked": [], "probe": {"ledger": LEDGER, "stores": [ROOT_STORE]}, "api": True}
    parts = [pod(f"airflow-{name}-0") for name in ("triggerer", "dag-processor")]
    for part, name in zip(parts, ("triggerer", "dag-processor"), strict=True):
        part["metadata"]["labels"] = {"tier": "airflow", "component": name}
    state["pods"] = parts
    platform = json.dumps({"store_root": "s3://tidegate", "stores": {"lake": "abfss://tidegate@lake"}})

    def text(_: Kubectl, *words: str, **__: Any) -> str:
        state["asked"].append(words)
        said = state["probe"] if "ledger" in words else WELL.dags
        return f"a warning\n\nHEALTH {json.dumps(said)}\n"

    @contextmanager
    def airflow(_: Kubectl, *, patience: float) -> Iterator[FakeApi]:
        if not state["api"]:
            msg = "no way to tidegate/airflow-api-server:8080 within 15 s"
            raise Fault(msg)
        yield FakeApi()

    monkeypatch.setattr(Kubectl, "items", lambda _, what: state["pods"] if what == "pods" else [])
    monkeypatch.setattr(Kubectl, "read", lambda *_, **__: {"data": {"_platform": platform}})
    monkeypatch.setattr(Kubectl, "text", text)
    monkeypatch.setattr(airflow_api, "airflow", airflow)
    monkeypatch.setattr(release, "status", lambda _: {"status": "deployed", "description": "x"})
    return state


def status(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["status", "--context", "kind-x", *arguments], catch_exceptions=False)
    return done.exit_code, done.stdout


def test_the_platform_is_asked_where_it_can_see(cluster: dict[str, Any]) -> None:
    code, said = status("--json")
    told = json.loads(said)
    assert (code, told["ok"], told["context"]) == (0, True, "kind-x")
    assert told["steps"] == COUNTS
    assert [one["state"] for one in told["pipelines"]] == ["success", None]
    asked = {words[1]: words[-4:] for words in cluster["asked"]}
    assert asked["airflow-triggerer-0"] == ("--store", "s3://tidegate", "--store", "abfss://tidegate@lake")
    assert asked["airflow-dag-processor-0"] == ("python", "-m", "tidegate.airflow.health", "dags")


def test_people_get_a_table_and_the_end_says_what_to_do(cluster: dict[str, Any]) -> None:
    code, said = status()
    assert code == 0
    assert "heartbeat" in said
    assert said.rstrip().endswith("nothing")
    cluster["probe"] = {"ledger": {"fault": "Unreachable: the ledger [db] does not answer"}, "stores": []}
    code, said = status()
    assert code == 1
    assert "[db]" in said
    assert "ledger: see to its database" in said


def test_an_airflow_that_is_away_hides_nothing_else(cluster: dict[str, Any]) -> None:
    cluster["api"] = False
    code, said = status("--json")
    found = {one["what"]: one["verdict"] for one in json.loads(said)["findings"]}
    assert code == 1
    assert found["Airflow's API"] == "BAD"
    assert found["ledger"] == found["store s3://tidegate"] == "ok"


def test_without_a_triggerer_the_rest_is_told(cluster: dict[str, Any]) -> None:
    cluster["pods"] = [one for one in cluster["pods"] if "triggerer" not in one["metadata"]["name"]]
    found = {one["what"]: one for one in json.loads(status("--json")[1])["findings"]}
    assert found["ledger"]["seen"] == "no triggerer runs"
    assert found["scheduler"]["verdict"] == "ok"


def test_a_probe_that_tells_nothing_is_a_fault() -> None:
    assert gather.told("Killed")["fault"] == "it told nothing: Killed"
    assert gather.told('x\nHEALTH {"a": 1}\n') == {"a": 1}
