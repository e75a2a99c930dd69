"""How Alembic runs here: on the connection `tidegate.ledger.migrate` opened, or into SQL for a dialect."""

from __future__ import annotations

from typing import Any

from alembic import context

from tidegate.ledger.migrate import VERSION_TABLE
from tidegate.ledger.tables import metadata

given = context.config.attributes
settings: dict[str, Any] = {"target_metadata": metadata, "version_table": VERSION_TABLE}
if given["connection"] is not None:
    context.configure(connection=given["connection"], **settings)
else:
    context.configure(dialect_name=given["dialect"], literal_binds=True, **settings)
with context.begin_transaction():
    context.run_migrations()
