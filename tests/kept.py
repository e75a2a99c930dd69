"""What a program says, kept in the cache by all that it depends on: itself, its words, its input, and the files named.

Reads and writes: `said/<key>/` in the cache. Again: a program that is asked the same of the same files is not run.
One that a signal ends has said nothing.
What nobody has asked for in a month is removed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cluster import cache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KIND = "said"
MONTH = 30 * 24 * 3600


def said(
    command: Sequence[str | Path], *, stdin: str, environment: Mapping[str, str], why: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program that is a function of its words and its input, unless it has been; of a path, the content counts.

    `why` tells those apart who want it run for something of their own.
    """
    program, *given = command
    about = Path(program).stat()
    key = cache.fingerprint(f"{program} {about.st_size} {about.st_mtime_ns}", *given, "as input", stdin, why)
    words = [str(word) for word in command]

    def build(folder: Path) -> None:
        done = subprocess.run(words, input=stdin, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode >= 0, f"{words} was ended by signal {-done.returncode}"
        told = {"returncode": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
        (folder / "said.json").write_text(json.dumps(told))
        _forget()

    file = cache.entry(KIND, key, build) / "said.json"
    file.touch()
    return subprocess.CompletedProcess(words, **json.loads(file.read_text()))


def _forget() -> None:
    for file in (cache.root() / KIND).glob("*/said.json"):
        if file.stat().st_mtime < time.time() - MONTH:
            shutil.rmtree(file.parent, ignore_errors=True)
