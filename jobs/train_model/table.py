"""A CSV of numbers, read as a stream: eight bytes a cell stay in memory, nothing else.

Takes UTF-8 with or without BOM, LF or CRLF, quoted cells and names. Every fault is a BadInput with its line and
column. Not pandas: its parser reads NA as a number, renames double columns and drops cells that are too many.
"""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.step import BadInput, Hashing, Input, Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


FEWEST = 2
"""Rows to learn from, and rows to score with: r2 is not defined on one."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Numbers by row: `values` holds the features of a row and then its target, row after row."""

    url: str
    etag: str
    sha256: str
    features: tuple[str, ...]
    target: str
    values: array[float]

    @property
    def rows(self) -> int:
        """How many rows of data there are."""
        return len(self.values) // (len(self.features) + 1)


def read_table(store: Store, url: Input, *, target: str, features: Sequence[str] = ()) -> Table:
    """Read the columns that are wanted; BadInput says what to change in the file or in the parameters."""
    with store.open(url) as body:
        stream = Hashing(body)
        rows = _rows(stream, url)
        header = _header(rows, url)
        chosen = _chosen(header, target=_name(target), features=[_name(name) for name in features], url=url)
        values = _values(rows, header, chosen, url)
    names = [header[index] for index in chosen]
    return Table(
        url=url,
        etag=body.stat.etag,
        sha256=stream.sha256,
        features=tuple(names[:-1]),
        target=names[-1],
        values=values,
    )


def refuse_too_few(table: Table, *, test_size: float) -> None:
    """BadInput unless there are rows enough for both sides of the split that scikit-learn makes."""
    held = math.ceil(table.rows * test_size)
    if held >= FEWEST and table.rows - held >= FEWEST:
        return
    split = f"$TIDEGATE_PARAMS.test_size {test_size} holds {held} of them out"
    raise BadInput(
        f"{table.url} has {table.rows} row(s) and {split}; want {FEWEST} or more to learn from and {FEWEST} or more "
        "held out: add rows or change test_size",
        url=table.url,
    )


class _Bytes(io.RawIOBase):
    """Gives `Hashing` the face a text decoder wants."""

    def __init__(self, stream: Hashing) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _rows(stream: Hashing, url: Input) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not empty, with the number of its last line."""
    text = io.TextIOWrapper(io.BufferedReader(_Bytes(stream), 1024 * 1024), encoding="utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except UnicodeDecodeError as error:
        near = f"after line {reader.line_num}"
        raise BadInput(f"{url} is not UTF-8 ({error.reason} {near}); save it as UTF-8", url=url) from None
    except csv.Error as error:
        raise BadInput(f"{url} is not a CSV: {error} in line {reader.line_num}; mend it", url=url) from None


def _header(rows: Iterator[tuple[int, list[str]]], url: Input) -> list[str]:
    _, cells = next(rows, (0, []))
    if not cells:
        raise BadInput(f"{url} is empty; want a CSV with a header and rows of numbers", url=url)
    header = [_name(cell) for cell in cells]
    if "" in header:
        raise BadInput(f"{url}: column {header.index('') + 1} of the header has no name; give it one", url=url)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise BadInput(f"{url}: the header has {', '.join(twice)} twice; rename one", url=url)
    return header


def _name(text: str) -> str:
    """One spelling for names that look the same: é is one character or two, by who wrote it."""
    return unicodedata.normalize("NFC", text).strip()


def _chosen(header: list[str], *, target: str, features: list[str], url: Input) -> list[int]:
    """Which columns are wanted, the target last."""
    found = f"the columns are {', '.join(header)}"
    if target not in header:
        raise BadInput(f"{url} has no column {target!r}; set $TIDEGATE_PARAMS.target to one it has: {found}", url=url)
    if target in features:
        raise BadInput(f"$TIDEGATE_PARAMS.features holds the target {target!r}; take it out")
    missing = [name for name in features if name not in header]
    if missing:
        wanted = "add it to the file or take it out of $TIDEGATE_PARAMS.features"
        raise BadInput(f"{url} lacks column {', '.join(map(repr, missing))}; {wanted}: {found}", url=url)
    names = features or [name for name in header if name != target]
    if not names:
        raise BadInput(f"{url} has no column but the target {target!r}; want one more to predict from", url=url)
    return [header.index(name) for name in [*names, target]]


def _values(rows: Iterator[tuple[int, list[str]]], header: list[str], chosen: list[int], url: Input) -> array[float]:
    values, width = array("d"), len(header)
    for line, row in rows:
        if len(row) != width:
            raise BadInput(_uneven(line, row, header, url), url=url)
        cells = [row[index] for index in chosen]
        try:
            numbers = [float(cell) for cell in cells]
        except ValueError:
            numbers = [math.nan]
        if not all(map(math.isfinite, numbers)) or "_" in "".join(cells):
            raise BadInput(_not_a_number(line, cells, [header[index] for index in chosen], url), url=url)
        values.extend(numbers)
    return values


def _uneven(line: int, row: list[str], header: list[str], url: Input) -> str:
    if len(row) < len(header):
        lacking = ", ".join(map(repr, header[len(row) :]))
        return f"{url}: line {line} lacks column {lacking}: it has {len(row)} of {len(header)} cells; fill it up"
    return f"{url}: line {line} has {len(row)} cells, the header {len(header)}; take out what is too much"


def _not_a_number(line: int, cells: list[str], names: list[str], url: Input) -> str:
    name, cell = next((name, cell) for name, cell in zip(names, cells, strict=True) if not _is_number(cell))
    shown = repr(cell if len(cell) <= 40 else f"{cell[:40]}...")  # noqa: PLR2004
    return f"{url}: line {line}, column {name!r} is {shown}; want a number, like 12.5"


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell)) and "_" not in cell
    except ValueError:
        return False
