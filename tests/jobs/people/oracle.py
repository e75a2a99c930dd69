"""De-duplication as one would write it without a database: every record against everybody stored, one by one.

Quadratic, no index, no chunks, no lock: what the real thing must equal. Shares with it only cleaning, keys and the
weight of one pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.dedup_people.decide import Record, Rules
    from jobs.dedup_people.model import Model


class Outcome(NamedTuple):
    kind: str
    row_no: int | None
    """The row of the person matched with, or this row where it was inserted, or None where it is held."""


def one_by_one(records: Sequence[Record], model: Model, rules: Rules) -> list[Outcome]:
    stored: list[Record] = []
    outcomes = []
    for record in records:
        outcome = _outcome(record, stored, model, rules)
        if outcome.row_no == record.row_no:
            stored.append(record)
        outcomes.append(outcome)
    return outcomes


def _outcome(record: Record, stored: list[Record], model: Model, rules: Rules) -> Outcome:
    near = [other for other in stored if set(other.keys) & set(record.keys) or other.person == record.person]
    scored = [(float(model.compare([record.person], [other.person])[0]), other) for other in near]
    scored.sort(key=lambda each: -each[0])  # stable: of equals, who came first
    twins = [each for each in scored if each[1].person == record.person]
    if twins:
        if twins[0][0] >= rules.match_at or rules.unsure == "insert":
            return Outcome("match", twins[0][1].row_no)
        return Outcome("review", None)
    if not scored or scored[0][0] < rules.review_at:
        return Outcome("new", record.row_no)
    clear = len(scored) == 1 or scored[1][0] < rules.review_at or scored[1][0] <= scored[0][0] - rules.margin
    if scored[0][0] >= rules.match_at and clear:
        return Outcome("match", scored[0][1].row_no)
    return Outcome("review", record.row_no if rules.unsure == "insert" else None)
