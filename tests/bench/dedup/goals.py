"""What was aimed at, and what the run came to. Needs nothing that is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    Figures = dict[str, Any]

HEAD = """\
| goal | value | met |
|---|---|---|"""
CDIST = "the same by rapidfuzz.cdist, all cores"
FEBRL = {"FEBRL4": 0.998, "FEBRL3": 0.993}
NOT_MEASURED = """\
Not measured: 10,000,000 stored (`make dedup SIZES=10_000_000`; the peers then take more memory than a small machine
has), a batch of 10,000 against them, and FEBRL 3 with dates of birth and without social security numbers, as a person
here has a name and an address and neither of the two. Crashes, kills and concurrent batches are the tests of
tests/jobs/people."""


class Goal(NamedTuple):
    """One line."""

    goal: str
    value: str
    met: bool


def rows(figures: Figures) -> list[str]:
    """The lines of the table, and what it leaves out."""
    sizes = [size for size in figures["sizes"] if "precision_alone" in size["rows"][0]]  # not what an older run kept
    found = [goal for size in sizes for goal in _size(size)] + list(_febrl(figures["febrl"]))
    return [f"| {each.goal} | {each.value} | {'yes' if each.met else 'no'} |" for each in found] + ["", NOT_MEASURED]


def _size(size: Figures) -> Iterator[Goal]:
    at = f"{size['stored']:,} stored"
    ours, *others = size["rows"]
    peers = {row["method"]: row for row in others}
    if size["stored"] >= 1_000_000:
        yield from _large(at, ours, peers, size["pull"])
    elif size["stored"] <= 10_000:
        times = ours["seconds"] / peers["Splink"]["seconds"]
        yield Goal(f"{at}: at most 1.2 times Splink's seconds", f"{times:.1f}", times <= 1.2)
    yield Goal(f"{at}: client at most 200 MB", f"{ours['peak_mb']:.0f}", ours["peak_mb"] <= 200)
    yield Goal(f"{at}: F1 at least 0.985", f"{ours['f1']:.4f}", ours["f1"] >= 0.985)
    alone = ours["precision_alone"]
    yield Goal(f"{at}: automatic matches right at least 0.999", f"{alone:.4f}", alone >= 0.999)
    yield Goal(f"{at}: to review at most 12 %", f"{ours['review']:.1%}", ours["review"] <= 0.12)


def _large(at: str, ours: Figures, peers: dict[str, Figures], pull: float) -> Iterator[Goal]:
    seconds, splink = ours["seconds"], peers["Splink"]["seconds"]
    yield Goal(f"{at}: Splink in memory takes 8 times as long", f"{splink / seconds:.1f}", splink >= 8 * seconds)
    pulled = (splink + pull) / seconds
    yield Goal(f"{at}: Splink with reading the table, 25 times", f"{pulled:.1f}", pulled >= 25)
    every = peers[CDIST]["seconds"] / seconds
    yield Goal(f"{at}: rapidfuzz.cdist of all pairs, 1,000 times", f"{every:,.0f}", every >= 1000)


def _febrl(rows: list[Figures]) -> Iterator[Goal]:
    for row in rows:
        if row["method"].startswith("Tidegate"):
            least = FEBRL[row["set"]]
            yield Goal(f"{row['set']} by name and address: F1 at least {least}", f"{row['f1']:.4f}", row["f1"] >= least)
