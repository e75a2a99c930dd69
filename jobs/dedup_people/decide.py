"""Who is new: the decision for each record of a chunk, as if the records had come one by one.

Reads: records in their order, the stored people each may be (with bits), and the rules.
Writes: one `Decision` a record: match, review or new.
Again: the same. Chunk size changes nothing: a record inserted a moment ago in the same chunk is a candidate for the
next one exactly as if it had been stored by an earlier chunk (each is compared with the representative itself, so a
chain of likenesses never grows).

A key leads to at most `cap` people, the first ever stored under it; crowded keys are counted, never passed over in
silence.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from jobs.dedup_people.clean import Person

    Compare = Callable[[Sequence[Person], Sequence[Person]], Iterable[float]]

CROWD = 40
"""Records of one chunk under one key up to which all their pairs are compared in one go; beyond, one by one."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Thresholds in bits (log2 odds)."""

    match_at: float
    """From here on a record is somebody we have."""
    review_at: float
    """Below this it is somebody new; between the two a person decides."""
    margin: float
    """A match must be this much better than the runner-up."""
    cap: int = 300
    """People looked at under one key."""
    unsure: Literal["hold", "insert"] = "hold"
    """What happens to a record that needs review: held back, or inserted as new and listed all the same."""


class Record(NamedTuple):
    """One cleaned record of a batch."""

    row_no: int
    record_id: str | None
    person: Person
    keys: list[int]
    fingerprint: bytes
    raw: dict[str, str]


class Candidate(NamedTuple):
    """Somebody a record may be: `id` of a stored person, or `-1 - i` for the chunk's own record number i."""

    bits: float
    id: int


class Decision(NamedTuple):
    """What becomes of a record."""

    kind: Literal["match", "review", "new"]
    inserted: bool
    best: Candidate | None
    others: list[Candidate]
    """Runners-up that a reviewer must see."""
    reason: str


@dataclass
class Stored:
    """What the database knows about a chunk."""

    candidates: list[list[Candidate]]
    """By record: stored people that share a key, best first, ties by id."""
    exact: Mapping[bytes, int]
    """Stored people with the very same cleaned fields, by fingerprint."""
    seen: Mapping[int, int] = field(default_factory=dict)
    """By key: how many stored people it has, at most `cap`."""


def decide(records: Sequence[Record], stored: Stored, compare: Compare, rules: Rules) -> list[Decision]:
    """Decide on each record in turn."""
    chunk = _Chunk(records, stored, compare, rules)
    return [chunk.decide(i) for i in range(len(records))]


class _Chunk:
    """The people inserted so far, by key."""

    def __init__(self, records: Sequence[Record], stored: Stored, compare: Compare, rules: Rules) -> None:
        self._records, self._stored, self._compare, self._rules = records, stored, compare, rules
        self._inserted: dict[int, list[int]] = defaultdict(list)
        self._exact: dict[bytes, int] = {}
        self._bits = self._compare_all()

    def decide(self, i: int) -> Decision:
        record = self._records[i]
        ranked = sorted([*self._stored.candidates[i], *self._own(i)], key=_rank)
        decision = self._judge(ranked, self._twin(record))
        if decision.inserted:
            self._insert(i)
        return decision

    def _judge(self, ranked: list[Candidate], twin: int | None) -> Decision:
        rules = self._rules
        exact = next((each for each in ranked if each.id == twin), None if twin is None else Candidate(0.0, twin))
        best = exact or (ranked[0] if ranked else None)
        others = [each for each in ranked if each != best and each.bits >= rules.review_at][:3]
        if exact and exact.bits >= rules.match_at:
            return Decision("match", False, exact, [], "same fields")
        if exact:
            # The same few fields twice: one person or two is not to be known, and the table takes them once.
            kind: Literal["match", "review"] = "review" if rules.unsure == "hold" else "match"
            return Decision(kind, False, exact, others, "same fields, but too few of them")
        if best is None or best.bits < rules.review_at:
            return Decision("new", True, best, [], "nobody like it")
        if best.bits < rules.match_at:
            return self._unsure(best, others, "not sure")
        if others and others[0].bits > best.bits - rules.margin:
            return self._unsure(best, others, "two people fit")
        return Decision("match", False, best, [], "alike")

    def _unsure(self, best: Candidate, others: list[Candidate], reason: str) -> Decision:
        return Decision("review", self._rules.unsure == "insert", best, others, reason)

    def _twin(self, record: Record) -> int | None:
        return self._stored.exact.get(record.fingerprint, self._exact.get(record.fingerprint))

    def _insert(self, i: int) -> None:
        self._exact[self._records[i].fingerprint] = -1 - i
        for key in self._records[i].keys:
            self._inserted[key].append(i)

    def _own(self, i: int) -> list[Candidate]:
        """Records inserted from this chunk that equal record `i` or share a key, as far as the keys have room."""
        twin = self._exact.get(self._records[i].fingerprint)
        mates = set() if twin is None else {-1 - twin}
        for key in self._records[i].keys:
            if key in self._inserted:
                mates.update(self._inserted[key][: max(0, self._rules.cap - self._stored.seen.get(key, 0))])
        ordered = sorted(mates)
        missing = [j for j in ordered if (j, i) not in self._bits]
        self._compare_pairs([(j, i) for j in missing], self._bits)
        return [Candidate(self._bits[j, i], -1 - j) for j in ordered]

    def _compare_all(self) -> dict[tuple[int, int], float]:
        """Compare all pairs under keys that are not crowded, in one go."""
        sharing: dict[int, list[int]] = defaultdict(list)
        for i, record in enumerate(self._records):
            for key in record.keys:
                sharing[key].append(i)
        groups = [group for group in sharing.values() if 1 < len(group) <= CROWD]
        pairs = sorted({(group[a], group[b]) for group in groups for b in range(len(group)) for a in range(b)})
        bits: dict[tuple[int, int], float] = {}
        self._compare_pairs(pairs, bits)
        return bits

    def _compare_pairs(self, pairs: Sequence[tuple[int, int]], into: dict[tuple[int, int], float]) -> None:
        if pairs:
            one = [self._records[j].person for j, _ in pairs]
            two = [self._records[i].person for _, i in pairs]
            into.update(zip(pairs, map(float, self._compare(one, two)), strict=True))


def _rank(candidate: Candidate) -> tuple[float, int, int]:
    """Most bits first, then who was stored first; the chunk's own (negative ids) come after all stored."""
    return (-candidate.bits, int(candidate.id < 0), abs(candidate.id))
