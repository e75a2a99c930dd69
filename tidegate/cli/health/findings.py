"""What the answers mean. Pure: nothing is asked here, and the time comes from outside.

BAD is what does not work now and has something to be done about it; what is only worth knowing is a note.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tidegate.cli.health.components import components, without_pods
from tidegate.cli.health.finding import Finding, Verdict
from tidegate.cli.health.words import TIDEGATE, ago, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.cli.health.gather import Answers, Told

LATE: Final = timedelta(minutes=5)
"""So long a row may wait to be written before somebody should look."""
SLOW: Final = 1.0
"""Seconds that the ledger may take to count."""
PARTS: Final = {
    "metadatabase": "Airflow's database",
    "scheduler": "scheduler",
    "triggerer": "triggerer",
    "dag_processor": "DAG processor",
}
HEALTHY: Final = "healthy"


def findings(told: Answers, *, now: datetime) -> list[Finding]:
    """All of them: the release, its pods, Airflow, the pipelines' files, ledger, steps, stores, runs."""
    return [
        _release(told),
        *components(told.pods, context=told.context, now=now),
        *without_pods(told.workloads, context=told.context),
        *_airflow(told.airflow, now=now),
        _files(told.dags, now=now),
        *_ledger(told.ledger),
        *_stores(told.ledger.get("stores", [])),
        *_runs(told.airflow.get("runs", [])),
    ]


def _release(told: Answers) -> Finding:
    status = told.release.get("status", "")
    seen = (
        f"{status or first_line(told.release.get('fault', 'not installed'))}; Airflow by {told.release.get('by', '?')}"
    )
    if status == "deployed":
        return Finding(what="release", seen=seen)
    return Finding(what="release", verdict=Verdict.BAD, seen=seen, do="make up, which also mends a half-done upgrade")


def _airflow(told: Told, *, now: datetime) -> Iterator[Finding]:
    if fault := told.get("fault"):
        do = "look at the api-server's pod above; without it nothing of Airflow can be shown"
        yield Finding(what="Airflow's API", verdict=Verdict.BAD, seen=first_line(fault), do=do)
        return
    for part, name in PARTS.items():
        if about := told.get("health", {}).get(part):
            yield _part(name, about, beat=about.get(f"latest_{part}_heartbeat"), now=now)
    if broken := told.get("import_errors"):
        do = f"the first page of the UI says why; mend the file, then {TIDEGATE} dags push"
        yield Finding(what="DAG files", verdict=Verdict.BAD, seen=f"cannot be read: {', '.join(broken)}", do=do)


def _part(name: str, about: Told, *, beat: str | None, now: datetime) -> Finding:
    seen = str(about.get("status") or "never seen")
    if beat:
        seen += f", heartbeat {ago(beat, now)} ago"
    if about.get("status") == HEALTHY:
        return Finding(what=name, seen=seen)
    do = (
        f"the log of its pod: kubectl --namespace tidegate logs -l component={name.lower().replace(' ', '-')} --tail 50"
    )
    return Finding(what=name, verdict=Verdict.BAD, seen=seen, do=do)


def _files(told: Told, *, now: datetime) -> Finding:
    what = "pipelines' files"
    if fault := told.get("fault"):
        do = "the DAG processor's pod is not up, or its image is older than this command: make up"
        return Finding(what=what, verdict=Verdict.NOTE, seen=first_line(fault), do=do)
    found = told.get("dags", {})
    if not found.get("commit"):
        return Finding(what=what, verdict=Verdict.NOTE, seen="not brought by git-sync")
    return Finding(what=what, seen=f"commit {found['commit'][:12]}, since {ago(found['since'], now)}")


def _ledger(answer: Told) -> Iterator[Finding]:
    told = answer.get("ledger", answer)
    if fault := told.get("fault"):
        do = "see to its database and to the Secret ledger; meanwhile every step runs, and its row is written later"
        yield Finding(what="ledger", verdict=Verdict.BAD, seen=first_line(fault), do=do)
    elif counts := told.get("counts"):
        yield _answering(told["seconds"], counts)
        yield _steps(counts)
    if told.get("spooled") or told.get("refused"):
        yield _spool(told)


def _answering(seconds: float, counts: Told) -> Finding:
    seen = f"answers in {seconds * 1000:.0f} ms; {counts['running']} open leases"
    if counts["lapsed"]:
        do = "none are needed: the next run of the same work takes over. Many of them tell of a triggerer that was lost"
        return Finding(what="ledger", verdict=Verdict.NOTE, seen=f"{seen}, {counts['lapsed']} lapsed", do=do)
    if seconds > SLOW:
        do = f"{TIDEGATE} ledger gc removes old rows; more CPU for its database (database.resources)"
        return Finding(what="ledger", verdict=Verdict.NOTE, seen=seen, do=do)
    return Finding(what="ledger", seen=seen)


def _steps(counts: Told) -> Finding:
    waiting = counts["waiting"] + counts["queued"]
    now = f"{counts['running']} running, {waiting} waiting"
    past = f"{counts['succeeded']} ran, {counts['hits']} used a result, {counts['failed']} failed"
    seen = f"{now}; in the last hour {past}"
    if not counts["failed"]:
        return Finding(what="steps", seen=seen)
    classes = ", ".join(f"{name} {count}" for name, count in sorted(counts["failures"].items()))
    do = f"{TIDEGATE} ledger list --state failed, then {TIDEGATE} logs DAG TASK"
    return Finding(what="steps", verdict=Verdict.NOTE, seen=f"{seen} ({classes})", do=do)


def _spool(told: Told) -> Finding:
    late = told.get("spooled_for", 0) > LATE.total_seconds()
    seen = f"{told.get('spooled', 0)} wait to be written, the oldest for {told.get('spooled_for', 0)} s"
    if told.get("refused"):
        seen += f"; {told['refused']} were refused, since another attempt had taken over"
    do = "the triggerer writes them within seconds once the ledger answers; its log says what holds it"
    verdict = Verdict.BAD if late else Verdict.NOTE
    return Finding(what="rows written late", verdict=verdict, seen=seen, do=do)


def _stores(told: list[Told]) -> Iterator[Finding]:
    """The first is the root, without which no step works; the others may be names that nobody uses."""
    for number, one in enumerate(told):
        if not one["fault"]:
            yield Finding(what=f"store {one['url']}", seen=f"answers in {one['seconds'] * 1000:.0f} ms")
            continue
        verdict, key = (Verdict.NOTE, "store.named") if number else (Verdict.BAD, "store.root")
        do = f"address ({key}), the triggerer's account (Secret store-reader, or its identity), the way there"
        yield Finding(what=f"store {one['url']}", verdict=verdict, seen=first_line(one["fault"]), do=do)


def _runs(told: list[dict[str, Any]]) -> Iterator[Finding]:
    failed = [one["dag"] for one in told if one["state"] == "failed"]
    if failed:
        do = f"{TIDEGATE} ledger list --pipeline {failed[0]} names the task; {TIDEGATE} logs {failed[0]} TASK"
        yield Finding(what="newest runs", verdict=Verdict.NOTE, seen=f"failed: {', '.join(failed)}", do=do)
