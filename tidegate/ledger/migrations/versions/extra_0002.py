"""What a result holds beside outputs, metrics and summary."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from tidegate.ledger.tables import LONG

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, unless a migration that was killed has."""
    if context.is_offline_mode() or "extra" not in _columns():
        op.add_column("ledger_row", sa.Column("extra", LONG))


def downgrade() -> None:
    """Take it away."""
    op.drop_column("ledger_row", "extra")


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("ledger_row")}
