"""A batch file, record by record: Parquet, CSV or JSON Lines, by its content and not by its name.

Reads: a local file and the names of its columns.
Writes: `Row`s; what cannot be used is a `Rejected` with its reason. Every row of the file comes out as one of the two.
Again: the same rows in the same order.

A missing column or a file that cannot be read at all is BadInput. Memory: one row group's slice, one line.
"""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.step import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FIELDS = ("record_id", "first_name", "last_name", "address", "house_number", "street", "unit", "city", "state",
          "postcode")  # fmt: skip
NEEDED = ("first_name", "last_name")
PLACES = ("address", "street", "city", "postcode")
"""At least one of them is needed."""

LONGEST = 1000
"""Characters of a field: longer ones are no name and no address."""
_LINE = 32 * 1024 * 1024
_SLICE = 2000
_CUT = 80
_MANY = 1000

csv.field_size_limit(_LINE)

Raw = dict[str, str]


class Row(NamedTuple):
    """A record that can be used; `raw` has the fields that are there."""

    number: int
    """From 1, in the file's order."""
    raw: Raw


class Rejected(NamedTuple):
    """A record that cannot be used."""

    number: int
    reason: str
    raw: Raw
    """What was read of it, cut to 80 characters a field and printable in ASCII."""


def read(path: Path, columns: Mapping[str, str]) -> Iterator[Row | Rejected]:
    """All rows of the file; `columns` maps our field names to the file's."""
    unknown = sorted(set(columns) - set(FIELDS))
    if unknown:
        raise BadInput(f"$TIDEGATE_PARAMS.columns names {', '.join(unknown)}; want some of {', '.join(FIELDS)}")
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.strip():
        raise BadInput("the people file is empty; want Parquet, CSV with a header, or JSON Lines")
    kind = _parquet if head[:4] == b"PAR1" else _json_lines if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" else _csv
    for number, found in enumerate(kind(path, columns), start=1):
        yield found._replace(number=number) if isinstance(found, Rejected) else check(number, found)


def check(number: int, values: Mapping[str, Any]) -> Row | Rejected:
    """A row, or why it is none."""
    given = ((name, value) for name, value in values.items() if value is not None)
    texts = {name: value if isinstance(value, str) else _text(value) for name, value in given}
    raw = {name: text for name, text in texts.items() if text and not text.isspace()}
    reason = next(filter(None, (_fault(name, text) for name, text in raw.items() if not _usual(text))), "")
    if not reason and not any(map(raw.get, NEEDED)):
        reason = "first_name and last_name are both missing"
    return Rejected(number, reason, _shown(raw)) if reason else Row(number, raw)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a postcode that some table took for a number
    return json.dumps(value, default=str)


def _usual(text: str) -> bool:
    """Nearly all texts: no fault to look for."""
    return text.isascii() and len(text) <= LONGEST and "\0" not in text


def _fault(name: str, text: str) -> str:
    if len(text) > LONGEST:
        return f"{name} has {len(text)} characters; want at most {LONGEST}"
    if "\0" in text:
        return f"{name} holds a NUL character"
    if any("\ud800" <= c <= "\udfff" for c in text):
        return f"{name} is not valid UTF-8"
    return ""


def _shown(raw: Mapping[str, str]) -> Raw:
    return {name: text[:_CUT].encode("ascii", "backslashreplace").decode() for name, text in raw.items()}


def _mapping(have: list[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Our field -> the file's column, for those that are there; BadInput tells all that are missing."""
    mapping = {name: columns.get(name, name) for name in FIELDS}
    found = {name: column for name, column in mapping.items() if column in have}
    missing = [column for name, column in mapping.items() if name not in found and name in {*NEEDED, *columns}]
    missing += [] if any(name in found for name in PLACES) else [f"one of {', '.join(mapping[p] for p in PLACES)}"]
    if missing:
        raise BadInput(f"the people file lacks the columns {'; '.join(missing)}; it has {', '.join(have)[:500]}; "
                       "set $TIDEGATE_PARAMS.columns")  # fmt: skip
    return found


def _csv(path: Path, columns: Mapping[str, str]) -> Iterator[dict[str, Any] | Rejected]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file)
        try:
            header = [name.strip() for name in next(reader)]
            mapping = _mapping(header, columns)
            at = {name: header.index(column) for name, column in mapping.items()}
            for cells in filter(None, reader):
                if len(cells) == len(header):
                    yield {name: cells[i] for name, i in at.items()}
                else:
                    reason = f"{len(cells)} cells where the header has {len(header)}"
                    yield Rejected(0, reason, _shown({"row": ",".join(cells)[:_CUT]}))
        except csv.Error as error:
            raise BadInput(f"the people file is no CSV at line {reader.line_num}: {error}") from None


def _json_lines(path: Path, columns: Mapping[str, str]) -> Iterator[dict[str, Any] | Rejected]:
    mapping = {name: columns.get(name, name) for name in FIELDS}
    have: dict[str, None] = {}  # a line may leave out what is null, so only the whole file tells what is missing
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        while line := file.readline(_LINE):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except ValueError as error:
                yield Rejected(0, f"not JSON: {error}", _shown({"row": line}))
                continue
            if not isinstance(values, dict):
                yield Rejected(0, "not a JSON object", _shown({"row": line}))
                continue
            have.update(dict.fromkeys(list(values)[:_MANY] if len(have) < _MANY else ()))
            yield {name: values.get(column) for name, column in mapping.items()}
    _mapping(list(have), columns)


def _parquet(path: Path, columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    import pyarrow as pa  # noqa: PLC0415 - half a second that CSV need not pay
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        file = pq.ParquetFile(path)
        mapping = _mapping(file.schema_arrow.names, columns)
        for batch in file.iter_batches(batch_size=_SLICE, columns=list(mapping.values())):
            table = pa.Table.from_batches([batch])
            cells = {name: _cells(table.column(column), pa) for name, column in mapping.items()}
            yield from (dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True))
    except pa.ArrowException as error:
        raise BadInput(f"the people file is no readable Parquet: {error}") from None


def _cells(column: Any, pa: Any) -> list[Any]:  # noqa: ANN401 - pyarrow's chunked array, and pyarrow itself
    """Text as bytes: Arrow would stop the whole file at one byte that is not UTF-8."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    return list(column.to_pylist())
