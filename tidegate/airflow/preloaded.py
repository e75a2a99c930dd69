"""One of Airflow's programs with the library in memory: `python -m tidegate.airflow.preloaded dag-processor`.

Airflow forks a process for every DAG file that it reads and for every task of a LocalExecutor; what the parent has
imported they need not: two thirds of a CPU second for each file that says `from tidegate.airflow import step`.
Reads: nothing. Again: as Airflow's.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_AZUREML = ("assets", "computes", "endpoints", "jobs")
WANTED = (
    "tidegate.airflow.steps",
    "tidegate.airflow.notify",
    *(f"tidegate.airflow.azureml.{name}" for name in _AZUREML),
)
"""What DAG files import from the library, with all that this imports in its turn."""


def load(names: Iterable[str] = WANTED) -> None:
    """Import them here, so that processes which are forked from this one have them."""
    for name in names:
        import_module(name)


if __name__ == "__main__":
    load()
    from airflow.__main__ import main

    sys.argv[0] = "airflow"
    main()  # type: ignore[no-untyped-call]
