"""Alembic migrations, run by `tidegate.ledger.migrate`."""
