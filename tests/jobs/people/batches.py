"""Batches for tests, and what the table says of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg

from jobs.dedup_people.model import shipped
from jobs.dedup_people.prepare import record
from jobs.dedup_people.read import Row
from jobs.dedup_people.step import Settings, run
from jobs.make_people.people import Wanted, people
from tests.jobs.people.oracle import Outcome, one_by_one
from tidegate.step import Input, Prefix, Result, Secret
from tidegate.step.stores import Stores

if TYPE_CHECKING:
    from pathlib import Path

    from jobs.dedup_people.decide import Record

Place = tuple[str, int]
Decisions = dict[Place, tuple[str, Place | None]]

WANTED = Wanted(count=120, duplicates=0.4, households=0.2)


def raw_people(seed: str = "a", *, count: int = 120, earlier: str | None = None) -> list[dict[str, str]]:
    return [made for made, _ in people(seed, replace(WANTED, count=count), earlier_seed=earlier)]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def settings(file: Path, database: str, **values: object) -> Settings:
    output = Prefix((file.parent / f"out-{file.stem}").as_uri())
    return Settings(people=Input(file.as_uri()), **({"output": output, "database": Secret(database)} | values))


def dedup(file: Path, database: str, **values: object) -> Result:
    return run(settings(file, database, **values), Stores())


def query(database: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(sql).fetchall()


def decisions(database: str) -> Decisions:
    """(source, row) of each decided record -> its decision and the (source, row) of the person it is."""
    rows = query(
        database,
        """select b.source, r.row_no, r.decision, o.source, p.source_row from people.match_result r
        join people.batch b using (batch_id) left join people.person p on p.id = r.person_id
        left join people.batch o on o.batch_id = p.source_batch""",
    )
    return {(source, row): (kind, (of, at) if of else None) for source, row, kind, of, at in rows}


def in_commit_order(database: str) -> list[tuple[str, int]]:
    return query(
        database,
        "select b.source, r.row_no from people.match_result r join people.batch b using (batch_id) "
        "order by commit_no, position",
    )


def as_sequential(files: dict[str, list[dict[str, str]]], order: list[tuple[str, int]], example: Settings) -> Decisions:
    """What deciding on the records one by one in this order gives, in the form of `decisions`."""
    records: list[Record] = []
    for number, (source, row) in enumerate(order, start=1):
        raw = {name: text for name, text in files[source][row - 1].items() if text.strip()}
        records.append(record(Row(number, raw)))
    outcomes: list[Outcome] = one_by_one(records, shipped(), example.rules)
    return {
        place: (outcome.kind, order[outcome.row_no - 1] if outcome.row_no else None)
        for place, outcome in zip(order, outcomes, strict=True)
    }


def check_keys(database: str) -> None:
    """Every person has exactly its keys, and nobody else has any."""
    rows = query(
        database,
        """select id, p.keys, k.keys from people.person p full join (select person_id id,
        array_agg(key order by key) keys from people.person_key group by 1) k using (id)""",
    )
    assert all(sorted(wanted or []) == have for _, wanted, have in rows)
