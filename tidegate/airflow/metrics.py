"""What steps did, as figures for Prometheus or OTLP, by Airflow's own client: no setting of ours, no second way out.

Reads: Airflow's section `metrics`, which says whether and where figures go. Writes: counters, from the process that
runs the triggers. Again: figures are never exact: a triggerer that is killed may count a step twice or not at all; what
each try came to is in the ledger.

Prometheus sees `tidegate.steps_total` as `airflow_tidegate_steps_total`, by way of StatsD and by OTLP alike.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from airflow.configuration import conf
from airflow.observability import stats

from tidegate.airflow.failures import Failure
from tidegate.ledger import Blind, Ended, Hit

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger as Logger

    from tidegate.airflow.identity import Identity
    from tidegate.airflow.recorded import Result
    from tidegate.airflow.work import Work
    from tidegate.ledger import Verdict

log = logging.getLogger(__name__)

STEPS: Final = "tidegate.steps_total"
"""Tries that are over. `outcome` is ran, hit (no pod: an earlier result was used), failed, or ended (told again after
a restart); `kind` is the class of a failure, see `tidegate.airflow.failures`, else none."""
SECONDS: Final = "tidegate.step_seconds_total"
"""Seconds from a try's start in the triggerer to its end, waiting included."""
SAVED: Final = "tidegate.saved_seconds_total"
"""Seconds that the work of hits took when it was done."""
PODS: Final = "tidegate.pods_total"
"""Pods that were made."""
BLIND: Final = "tidegate.ledger_away_total"
"""Tries that ran without the ledger, because it did not answer."""

ALL: Final = (STEPS, SECONDS, SAVED, PODS, BLIND)
NONE: Final = "none"
"""For a tag that does not apply: StatsD knows no empty ones."""


def over(
    run: Identity | None, work: Work | None, found: Result | Failure, *, step: str, seconds: float, say: Logger
) -> None:
    """Count a try that is over, and close its log with a line that says all of it in fields, for who collects logs."""
    try:
        if run is not None:
            told = count(run, found, verdict=work.verdict if work else None, step=step, seconds=seconds)
            say.info("over", step=step, **told, **run.document())
    except Exception:
        log.exception("a try of %s was not counted", step)


def count(
    run: Identity, found: Result | Failure, *, verdict: Verdict | Blind | None, step: str, seconds: float
) -> dict[str, Any]:
    """Add a try to all counters; returns what it came to."""
    outcome = _outcome(found, verdict)
    kind = found.kind.value if isinstance(found, Failure) else NONE
    tags = {"dag_id": run.dag_id, "step": step}
    _add(STEPS, 1, {**tags, "outcome": outcome, "kind": kind})
    _add(SECONDS, seconds, {**tags, "outcome": outcome})
    if isinstance(verdict, Hit):
        _add(SAVED, verdict.row.seconds or 0.0, tags)
    if isinstance(verdict, Blind):
        _add(BLIND, 1, tags)
    return {"outcome": outcome, "kind": kind, "seconds": round(seconds, 3)}


def pod_made(run: Identity, *, step: str) -> None:
    """Count a pod."""
    _add(PODS, 1, {"dag_id": run.dag_id, "step": step})


def _outcome(found: Result | Failure, verdict: Verdict | Blind | None) -> str:
    if isinstance(verdict, Ended):
        return "ended"
    if isinstance(found, Failure):
        return "failed"
    return "hit" if isinstance(verdict, Hit) else "ran"


def _add(name: str, amount: float, tags: dict[str, str]) -> None:
    """Add to a counter, where anybody is told; the loop of the triggers waits for none of it."""
    if sender := _sender():
        sender.submit(_send, name, amount, tags)


@cache
def _sender() -> ThreadPoolExecutor | None:
    """A thread for what blocks: the first figure reads Airflow's list of names, and addresses are looked up."""
    told = any(conf.getboolean("metrics", name) for name in ("statsd_on", "otel_on", "statsd_datadog_enabled"))
    return ThreadPoolExecutor(1, thread_name_prefix="metrics") if told else None


def _send(name: str, amount: float, tags: dict[str, str]) -> None:
    """No step fails because its figures do not arrive."""
    try:
        stats.incr(name, cast("int", amount), tags=tags)  # both ways out take fractions
    except Exception:
        log.debug("%s was not counted", name, exc_info=True)
