"""A DAG of a test in the cluster: pushed through the git server beside the real ones, and taken away again."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.git_push import push_dags
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.cli.kubectl import Kubectl


@contextmanager
def pushed(kubectl: Kubectl, file: str, text: str) -> Iterator[None]:
    """The working tree's DAGs and one more, on the git server, while the block runs."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "dags"
        shutil.copytree(ROOT / "dags", folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / file).write_text(text)
        assert push_dags(kubectl, folder, message=f"add {file}")
    try:
        yield
    finally:
        push_dags(kubectl, ROOT / "dags", message=f"remove {file}")
