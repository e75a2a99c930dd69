"""Write down which migrations this image's Airflow ends with, so that a container can tell without importing Airflow.

Reads: the migrations of Airflow and of FAB, as installed. Writes: `airflow_heads.json`, table -> its revisions, in the
working directory. Again: the same.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from alembic.script import ScriptDirectory

TABLES = {"alembic_version": "airflow", "alembic_version_fab": "airflow.providers.fab"}
"""Where a database keeps its revision -> the package whose migrations bring it there."""


def heads(package: str) -> list[str]:
    """The newest revisions of a package's migrations; one, as a rule."""
    found = find_spec(package)
    places = found.submodule_search_locations if found else None
    if not places:
        raise SystemExit(f"{package} is not installed: correct images/airflow/requirements.txt")
    return sorted(ScriptDirectory(str(Path(places[0]) / "migrations")).get_heads())


if __name__ == "__main__":
    Path("airflow_heads.json").write_text(json.dumps({table: heads(package) for table, package in TABLES.items()}))
