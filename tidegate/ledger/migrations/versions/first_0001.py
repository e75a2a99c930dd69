"""Rows, uses, admission, and the views with the original's names."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op

from tidegate.ledger import views
from tidegate.ledger.tables import LONG, OPTIONS, Utc

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make what is not there: MySQL keeps the first half of a migration that was killed."""
    _rows()
    _uses()
    _admission()
    for statement in [*views.removals(), *views.statements(op.get_context().dialect.name)]:
        op.execute(statement)


def downgrade() -> None:
    """Take all of it away."""
    for statement in views.removals():
        op.execute(statement)
    for table in ("ledger_gate", "ledger_admission", "ledger_use", "ledger_row"):
        op.drop_table(table)


def _rows() -> None:
    _table(
        "ledger_row",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(63), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        *_task(),
        sa.Column("lease_expires", Utc()),
        sa.Column("datetime_started", Utc(), nullable=False),
        sa.Column("datetime_finished", Utc()),
        sa.Column("image", sa.String(1024), nullable=False),
        *(sa.Column(name, LONG, nullable=False) for name in ("params", "inputs", "parts", "outputs", "metrics")),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("output_path", sa.String(2048), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("pod", sa.String(253), nullable=False),
        sa.Column("node", sa.String(253), nullable=False),
        sa.Column("exit_reason", sa.String(64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("peak_memory_bytes", sa.BigInteger()),
        sa.Column("cpu_seconds", sa.Double()),
        sa.Column("log_url", sa.String(2048), nullable=False),
        sa.Column("ttl_seconds", sa.Double()),
        sa.UniqueConstraint("key", "attempt", name="uq_ledger_row_key_attempt"),
    )
    _index("ix_ledger_row_step", "ledger_row", "step", "id")
    _index("ix_ledger_row_pipeline", "ledger_row", "pipeline", "id")
    _index("ix_ledger_row_state", "ledger_row", "state", "lease_expires")


def _uses() -> None:
    row = sa.ForeignKey("ledger_row.id", name="fk_ledger_use_row", ondelete="CASCADE")
    _table(
        "ledger_use",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        *_task(),
        sa.Column("row_id", NUMBER, row, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("run_params", LONG, nullable=False),
        sa.Column("datetime_decided", Utc(), nullable=False),
        sa.UniqueConstraint("holder", name="uq_ledger_use_holder"),
    )
    _index("ix_ledger_use_row", "ledger_use", "row_id")
    _index("ix_ledger_use_task", "ledger_use", "pipeline", "task_id", "id")


def _admission() -> None:
    _table(
        "ledger_admission",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        *_task(),
        sa.Column("lease_expires", Utc(), nullable=False),
        sa.Column("datetime_asked", Utc(), nullable=False),
        sa.Column("datetime_admitted", Utc()),
        sa.UniqueConstraint("holder", name="uq_ledger_admission_holder"),
    )
    _table(
        "ledger_gate",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("turn", sa.BigInteger(), nullable=False),
    )
    gates = sa.table("ledger_gate", sa.column("name", sa.String), sa.column("turn", sa.BigInteger))
    if context.is_offline_mode() or op.get_bind().execute(sa.select(gates.c.name)).first() is None:
        op.execute(gates.insert().values(name="admission", turn=0))


def _task() -> list[sa.Column[Any]]:
    return [
        sa.Column("pipeline", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(250), nullable=False),
        sa.Column("task_id", sa.String(250), nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("try_number", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
    ]


def _table(name: str, *parts: Any) -> None:  # noqa: ANN401 - columns and constraints
    op.create_table(name, *parts, if_not_exists=not context.is_offline_mode(), **OPTIONS)


def _index(name: str, table: str, *columns: str) -> None:
    """MySQL has no CREATE INDEX IF NOT EXISTS, so it is asked."""
    if not context.is_offline_mode():
        known = sa.inspect(op.get_bind()).get_indexes(table)
        if any(index["name"] == name for index in known):
            return
    op.create_index(name, table, list(columns))
