"""What a new step is made of: its module, its image, its tests, and its entries in the lists.

Reads: the checkout. Writes: nothing; `files` gives what is to be written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tidegate.cli.scaffold import checkout, edits, names
from tidegate.cli.scaffold.texts import filled

if TYPE_CHECKING:
    from pathlib import Path

ABOUT: Final = "Counts the lines of a text."
"""What the step does until somebody gives it other work."""
LIKE: Final = "images/hello/requirements.txt"
"""Frozen for the same dependencies: the stores alone."""
TIDEGATE: Final = ".venv/bin/tidegate"
VALUES: Final = "helm/tidegate/values.yaml"


def files(root: Path, name: str, *, about: str) -> dict[str, str]:
    """Path -> text of every file that is new or changes; raises `Fault` for a name that will not do."""
    names.check_step(name, root)
    words, known = {"name": name, "about": names.check_about(about)}, checkout.steps(root)
    fresh = {
        f"jobs/{name}.py": filled("job.py", **words),
        f"tests/jobs/test_{name}.py": filled("test_step.py", **words),
        f"images/{name}/Dockerfile": filled("Dockerfile", **words),
        f"images/{name}/requirements.txt": checkout.text(root, LIKE),
    }
    edited = {
        "pyproject.toml": edits.pyproject(checkout.text(root, "pyproject.toml"), name, steps=known),
        "skaffold.yaml": edits.skaffold(checkout.text(root, "skaffold.yaml"), name, steps=known),
        VALUES: edits.step_values(checkout.text(root, VALUES), name, about=words["about"], steps=known),
        ".importlinter": edits.importlinter(checkout.text(root, ".importlinter"), name, steps=known),
    }
    return fresh | edited


def next_steps(name: str) -> list[tuple[str, str]]:
    """What to type now, in this order, and what it does."""
    return [
        (f"{TIDEGATE} run {name} --input data=README.md", "runs it here, without a cluster"),
        (f"{TIDEGATE} new pipeline my_{name} --step {name}", "runs it in a pod, once it is installed"),
        ('make test RUNGS="static jobs dags helm"', "names whatever is forgotten"),
        (f"{TIDEGATE} up --install-only", "builds its image, loads and installs it"),
    ]
