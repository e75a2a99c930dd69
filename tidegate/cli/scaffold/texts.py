"""The texts of new files, from `templates/`: `{{name}}` stands for a value.

Reads: the package's own files. Writes: nothing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).with_name("templates")
PLACE: Final = re.compile(r"\{\{(\w+)\}\}")
"""Airflow's own templates have spaces within the braces."""


def filled(template: str, **values: str) -> str:
    """A template's text with every place filled; KeyError where a value is missing."""
    text = (FOLDER / f"{template}.in").read_text(encoding="utf-8")
    return PLACE.sub(lambda place: values[place[1]], text)
