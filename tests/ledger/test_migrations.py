"""The tables: the same by migration, by definition and by the published SQL; two migrations at once; the views."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, make_url, text

from tests.ledger.world import Stores, ask, done, key, ran
from tidegate.ledger import Claim, Ledger, Task, ddl, views
from tidegate.ledger.address import open_engine
from tidegate.ledger.migrate import VERSION_TABLE, config, migrate, newest
from tidegate.ledger.tables import metadata

if TYPE_CHECKING:
    from tests.ledger.conftest import Server

ROOT = Path(__file__).resolve().parents[2]


def shape(address: str) -> dict[str, Any]:
    """All tables' columns, keys and indexes, and the views' names."""
    engine = open_engine(address)
    inspector = inspect(engine)
    names = sorted(inspector.get_table_names())
    told = {
        name: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(name)],
            inspector.get_pk_constraint(name)["constrained_columns"],
            sorted(str(index["name"]) + str(index["column_names"]) for index in inspector.get_indexes(name)),
            sorted(str(unique["name"]) for unique in inspector.get_unique_constraints(name)),
            [
                (foreign["constrained_columns"], foreign["referred_table"])
                for foreign in inspector.get_foreign_keys(name)
            ],
        )
        for name in names
    }
    told["views"] = sorted(inspector.get_view_names())
    engine.dispose()
    return told


def answers(address: str, *queries: str) -> list[Any]:
    engine = open_engine(address)
    with engine.begin() as connection:
        found = [[tuple(row) for row in connection.execute(text(query))] for query in queries]
    engine.dispose()
    return found


def load(server: Server, name: str) -> str:
    """A new database with a published file in it, given to the server as its own client would."""
    script = (ROOT / f"k8s/ledger/{'mysql' if server.kind == 'mariadb' else server.kind}.sql").read_text()
    address = server.new(name)
    if server.kind == "sqlite":
        with closing(sqlite3.connect(make_url(address).database or "")) as connection:
            connection.executescript(script)
        return address
    if server.kind == "mariadb":
        address = make_url(address).set(database="ml_airflow").render_as_string(hide_password=False)
    with server.connect() if server.kind == "mariadb" else _into(address) as connection:
        cursor = connection.cursor()
        for statement in script.split(";\n"):
            if statement.strip() and not all(line.startswith("--") or not line for line in statement.splitlines()):
                cursor.execute(statement)
    return address


def _into(address: str) -> Any:
    import psycopg  # noqa: PLC0415

    return psycopg.connect(address, autocommit=True)


@pytest.mark.parametrize("dialect", sorted(ddl.DIALECTS))
def test_the_published_sql_is_what_the_migrations_make(dialect: str) -> None:
    path = ROOT / f"k8s/ledger/{dialect}.sql"
    assert path.read_text() == ddl.sql(dialect), f"{path} is old; run `python -m tidegate.ledger.ddl k8s/ledger`"


def test_the_definitions_are_what_the_migrations_make(migrated: str) -> None:
    engine = open_engine(migrated)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []


def test_the_published_sql_loads_into_an_empty_database_and_migrate_finds_it_done(
    server: Server, migrated: str
) -> None:
    address = load(server, "published")
    assert shape(address) == shape(migrated)
    done_ = migrate(address)
    assert done_.was == done_.now == newest()
    ledger = Ledger(address, probe=Stores())
    assert ran(ledger, ask(1), done(Stores())).id == 6, "the next number after the test data"
    ledger.shut()


def test_the_originals_queries_are_answered(server: Server) -> None:
    address = server.new("queries")
    migrate(address)
    stores = Stores()
    ledger = Ledger(address, probe=stores)
    conf = {"parameter_1": "p1"}
    for pipeline, run_params, tasks in (
        ("ml_training_dag", conf | {"parameter_2": "p2"}, ("common_task_1", "common_task_2", "training_task_1")),
        ("ml_testing_dag", conf | {"parameter_3": "p3"}, ("common_task_1", "testing_task_1")),
    ):
        for task_id in tasks:
            task = Task(pipeline=pipeline, run_id="manual__1", task_id=task_id)
            own = conf if task_id.startswith("common") else run_params
            work = key(step="run_command", params={"command": task_id, **own})
            if not (pipeline == "ml_testing_dag" and task_id == "common_task_1"):
                ran(ledger, ask(task=task, work=work, run_params=run_params), done(stores, task_id))
            else:
                ledger.begin(ask(task=task, work=work, run_params=run_params))
    ledger.begin(ask(task=Task(pipeline="ml_testing_dag", run_id="manual__1", task_id="testing_task_2"),
                     work=key(params={"open": 1}), run_params=conf | {"parameter_3": "p3"}))  # fmt: skip
    ledger.shut()
    found = answers(
        address,
        "SELECT id, parameter_1 FROM ml_dag WHERE parameter_1 = 'p1'",
        "SELECT t.parameter_2 FROM ml_training_dag t JOIN ml_dag d ON d.id = t.ml_dag_id"
        " WHERE d.parameter_1 = 'p1' AND t.parameter_2 = 'p2'",
        "SELECT t.parameter_3 FROM ml_testing_dag t JOIN ml_dag d ON d.id = t.ml_dag_id WHERE t.parameter_3 = 'p3'",
        "SELECT t.id FROM ml_training_dag t JOIN ml_dag d ON d.id = t.ml_dag_id WHERE t.parameter_2 = 'never'",
        "SELECT c.output_path FROM common_task_1 c JOIN ml_dag d ON d.id = c.ml_dag_id"
        " WHERE c.datetime_finished IS NOT NULL AND c.datetime_started <= c.datetime_finished",
        "SELECT count(*) FROM training_task_1 WHERE datetime_finished IS NOT NULL",
        "SELECT datetime_finished FROM testing_task_2",
    )
    ids = [row[0] for row in found[0]]
    assert len(ids) == 1
    assert [row[1] for row in found[0]] == ["p1"]
    assert found[1:] == [[("p2",)], [("p3",)], [], [("s3://tidegate/runs/petrol",)], [(1,)], [(None,)]]


def test_every_view_has_the_originals_columns(migrated: str) -> None:
    engine = open_engine(migrated)
    inspector = inspect(engine)
    columns = {name: {column["name"] for column in inspector.get_columns(name)} for name in views.NAMES}
    engine.dispose()
    assert columns["ml_dag"] == {"id", "datetime_created", "parameter_1"}
    assert columns["ml_training_dag"] == {"id", "ml_dag_id", "parameter_2", "datetime_created"}
    assert columns["ml_testing_dag"] == {"id", "ml_dag_id", "parameter_3", "datetime_created"}
    for task in views.TASKS:
        assert columns[task] == {"id", "ml_dag_id", "datetime_started", "datetime_finished", "output_path"}


def test_the_test_data_answers_too(server: Server) -> None:
    address = load(server, "published_too") if server.kind != "mariadb" else None
    if address is None:
        address = make_url(server.admin).set(database="ml_airflow").render_as_string(hide_password=False)
    finished = "SELECT count(*) FROM {} WHERE datetime_finished IS NOT NULL"
    assert answers(address, *(finished.format(name) for name in views.TASKS)) == [[(1,)]] * len(views.TASKS)


def test_two_migrations_at_once_one_works_the_other_waits(server: Server) -> None:
    address = server.new("at_once")
    done_: list[Any] = []
    threads = [threading.Thread(target=lambda: done_.append(migrate(address))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(migrated.was for migrated in done_) == ["", newest(), newest()]
    assert {migrated.now for migrated in done_} == {newest()}


def test_a_migration_that_was_killed_half_way_is_finished_by_the_next(server: Server) -> None:
    """MySQL commits each statement by itself: some tables may be there, without their version."""
    address = server.new("half")
    migrate(address)
    whole = shape(address)
    for statement in (f"DELETE FROM {VERSION_TABLE}", *views.removals()[:3], "DROP TABLE ledger_use"):
        drop = statement + (" CASCADE" if server.kind == "postgresql" and "DROP TABLE" in statement else "")
        engine = open_engine(address)
        with engine.begin() as connection:
            connection.execute(text(drop))
        engine.dispose()
    migrate(address)
    assert shape(address) == whole
    assert answers(address, "SELECT name, turn FROM ledger_gate") == [[("admission", 0)]]


def test_a_newer_programs_tables_are_left_as_they_are_and_work(server: Server) -> None:
    """As after a rollback: the newer one had added a column."""
    address = server.new("newer")
    migrate(address)
    engine = open_engine(address)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE ledger_use ADD COLUMN later INTEGER"))
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    engine.dispose()
    newer = shape(address)
    told = migrate(address)
    assert (told.was, told.now, told.ahead) == ("9999", "9999", True)
    assert shape(address) == newer
    ledger = Ledger(address, probe=Stores())
    try:
        assert isinstance(ledger.begin(ask(1)), Claim)
    finally:
        ledger.shut()


def test_there_and_back_again_leaves_nothing(server: Server) -> None:
    address = server.new("back")
    migrate(address)
    engine = open_engine(address)
    with engine.begin() as connection:
        command.downgrade(config(connection=connection), "base")
    engine.dispose()
    assert set(shape(address)) == {VERSION_TABLE, "views"}
    assert shape(address)["views"] == []
