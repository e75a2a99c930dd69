"""Loads a published pickle and scores it, in a process that knows no secret.

Unpickling runs whatever the pickle says: so its sha256 is known to be the card's, the process has none of this one's
variables, and this one's are closed to its readers in /proc.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.step import BadInput, StepError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobs.upload_model.card import Card

LARGEST_HOLDOUT = 256 * 1024 * 1024
"""Bytes of a holdout at most."""

CLOSE = 1e-9
"""Relative; the same numbers in another order of addition, on another kind of processor."""

SCRIPT = Path(__file__).with_name("score_pickle.py")
PR_SET_DUMPABLE = 4
"""https://man7.org/linux/man-pages/man2/pr_set_dumpable.2const.html"""


def refuse_other_versions(card: Card) -> None:
    """A pickle is only good for the scikit-learn that wrote it."""
    trained = card.libraries.get("scikit-learn", "an unknown version")
    try:
        here = version("scikit-learn")
    except PackageNotFoundError:
        here = "none"
    if trained != here:
        advice = "give images/train_model and images/upload_model the same version, then train again"
        raise BadInput(f"the model was trained with scikit-learn {trained}, here is {here}; {advice}")


def refuse_other_metrics(metrics: Mapping[str, float], card: Card, *, url: str) -> None:
    """What the published model does on the holdout must be what its card says."""
    for name, said in card.metrics.items():
        if not math.isclose(metrics[name], said, rel_tol=CLOSE, abs_tol=CLOSE):
            advice = "pass the holdout of this very model"
            raise BadInput(f"the published model has {name} {metrics[name]}, its card says {said}; {advice}", url=url)


def score(pickle: Path, holdout: bytes, *, card: Card, seconds: int) -> dict[str, float]:
    """The metrics of `pickle` on `holdout`, measured in a fresh process."""
    _close_environment()
    columns = json.dumps([*card.features, card.target])
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-I", str(SCRIPT), str(pickle), columns]
        try:
            done = subprocess.run(
                command, input=holdout, env=_bare(home), cwd=home, capture_output=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise StepError(
                f"loading and scoring took over {seconds} s; raise $TIDEGATE_PARAMS.score_seconds"
            ) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-1500:]
        raise BadInput(f"the published model cannot be scored (exit {done.returncode}); train again:\n{said}")
    return {name: float(value) for name, value in json.loads(done.stdout).items()}


def _bare(home: str) -> dict[str, str]:
    """All the variables that the process gets."""
    return {"PATH": os.defpath, "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"}


def _close_environment() -> None:
    """Keep other processes of this user from reading /proc/<pid>/environ, where the secrets stay to the end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
