"""The ledger of the cluster, as the tests read it; and its role locked out for as long as a block runs.

Reads: the ledger's database through a port-forward. Writes: nothing but, in `locked_out`, whether the role may log in,
which is set back whatever happens. Again: a role that may log in already is left so.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tidegate.cli.kubectl import NAMESPACE
from tidegate.cli.ledger import KEY, PORT, SECRET, SERVICE, through
from tidegate.cli.port_forward import Forward, forward
from tidegate.ledger import Ledger, report, rows
from tidegate.ledger.verify import NoStores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.cli.kubectl import Kubectl
    from tidegate.cli.runs import Run
    from tidegate.ledger import Row
    from tidegate.ledger.report import Use
    from tidegate.ledger.transaction import Operation

T = TypeVar("T")

ROLE = "ledger"
NEWEST = 1000
"""Tries of one run that are read at most."""


@dataclass(frozen=True)
class Book:
    """Questions to the ledger."""

    way: Forward
    ledger: Ledger

    def tries(self, run: Run) -> dict[tuple[str, int], Use]:
        """(task, try) -> what it got."""
        asked = report.uses({"pipeline": run.dag_id, "run_id": run.run_id}, limit=NEWEST)
        return {(use.task.task_id, use.task.try_number): use for use in self._do(asked)}

    def last(self, run: Run) -> dict[str, Use]:
        """Task -> what its last try got."""
        return {task: use for (task, _), use in sorted(self.tries(run).items(), key=lambda one: one[0])}

    def verdicts(self, run: Run) -> dict[str, str]:
        """Task -> whether its last try ran, hit or waits."""
        return {task: use.verdict for task, use in self.last(run).items()}

    def attempts(self, row: Row) -> list[Row]:
        """All attempts at the work of a row, the first one first."""
        return list(reversed(self._do(lambda tx: rows.by_key(tx, row.key))))

    def _do(self, operation: Operation[T]) -> T:
        self.way.ensure()
        return self.ledger.do(operation)


@contextmanager
def opened(kubectl: Kubectl) -> Iterator[Book]:
    """The ledger of the installed release while the block runs."""
    inside = kubectl.secret(SECRET)[KEY]
    with forward(kubectl, SERVICE, PORT) as way:
        ledger = Ledger(through(inside, way.local), probe=NoStores())
        try:
            yield Book(way, ledger)
        finally:
            ledger.shut()


@contextmanager
def locked_out(kubectl: Kubectl) -> Iterator[None]:
    """Nobody reaches the ledger while the block runs: open connections are ended, new ones refused."""
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'"
    try:
        _sql(kubectl, f"ALTER ROLE {ROLE} NOLOGIN", ended)
        yield
    finally:
        _sql(kubectl, f"ALTER ROLE {ROLE} LOGIN")


def _sql(kubectl: Kubectl, *statements: str) -> None:
    words = [word for statement in statements for word in ("--command", statement)]
    psql = ("psql", "--username=postgres", "--no-psqlrc", "--set=ON_ERROR_STOP=1", *words)
    kubectl.text("exec", "--namespace", NAMESPACE, "postgresql-0", "--container", "postgresql", "--", *psql)
