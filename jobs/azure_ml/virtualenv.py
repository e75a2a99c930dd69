"""A virtual environment for one task: packages in other versions than the image's, such as another azure-ai-ml.

Reads: pip's own variables (`$PIP_INDEX_URL`, `$PIP_FIND_LINKS`, …). Writes: a folder below the scratch folder, which is
gone with the pod. The environment sees all that the image has; what is asked for goes before it. The step begins anew
in it, in the same process, so that its signals still reach it. pip sees no secret of the step, and runs no code of a
package: wheels only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tidegate.step import BadInput, TryAgain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ENTERED = "AZURE_ML_VIRTUALENV"
"""Set in the process that runs inside."""
PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==[A-Za-z0-9.+!]+")
SHOWN_TO_PIP = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NO_PROXY", "no_proxy",
                "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")  # fmt: skip
QUICKLY = ("--no-warn-conflicts", "--no-compile")
"""Not to look through all that the image has for what to warn of, which nobody reads and takes two of three seconds;
nor to compile what this one process never imports."""
UNSATISFIABLE = ("No matching distribution", "ResolutionImpossible", "conflicting dependencies")
MOST = 1500
"""Characters of what pip says."""


def names(requirements: Sequence[str]) -> list[str]:
    """The packages that are pinned.

    Raises:
        BadInput: One is no pin.
    """
    wrong = [one for one in requirements if not PIN.fullmatch(one)]
    if wrong:
        raise BadInput(f"$TIDEGATE_PARAMS.requirements has {wrong}; want pins, such as azure-ai-ml==1.35.2")
    return [one.partition("==")[0] for one in requirements]


def versions(requirements: Sequence[str]) -> dict[str, str]:
    """What the pinned packages are in this process, by name."""
    return {name: version(name) for name in names(requirements)}


def enter(requirements: Sequence[str], *, seconds: float) -> NoReturn:
    """Begin this step anew in an environment with these packages.

    Raises:
        BadInput: There are no such packages, or they do not go together.
        TryAgain: The index cannot be reached, or it takes longer than `seconds`.
    """
    python = made(requirements, Path(tempfile.mkdtemp(prefix="azure-ml-venv-")), seconds=seconds)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(python, [python, "-m", "jobs", "azure_ml"], {**os.environ, ENTERED: "yes"})  # noqa: S606 - no shell


def made(requirements: Sequence[str], folder: Path, *, seconds: float) -> str:
    """Make the environment; returns its Python."""
    names(requirements)
    venv.create(folder, symlinks=True, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    seen = [path for path in dict.fromkeys([*sys.path, str(Path.cwd())]) if path and Path(path).is_dir()]
    (site / "image.pth").write_text("\n".join(seen) + "\n", encoding="utf-8")
    python = str(folder / "bin" / "python")
    command = [python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:", *QUICKLY, *requirements]
    try:
        done = subprocess.run(
            command, env=_without_secrets(os.environ), capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise TryAgain(f"installing {', '.join(requirements)}: not over within {seconds:g} s") from None
    if done.returncode:
        _refuse(requirements, done.stderr.strip()[-MOST:])
    return python


def _refuse(requirements: Sequence[str], said: str) -> NoReturn:
    """Say what pip said; it has one exit code for all, and an index that does not answer has no distributions."""
    unreachable = "connection broken" in said or "Retrying" in said
    kind = BadInput if any(word in said for word in UNSATISFIABLE) and not unreachable else TryAgain
    raise kind(f"installing {', '.join(requirements)}: {said}")


def _without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environ.items() if name in SHOWN_TO_PIP or name.startswith("PIP_")}
