"""DAGs of tests in the cluster: pushed through the git server beside the real ones, and taken away again."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.stage import service_account
from tidegate.cli.git_push import push_dags
from tidegate.cli.kubectl import STEPS_NAMESPACE
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tidegate.cli.kubectl import Kubectl


def push(kubectl: Kubectl, files: Mapping[str, str]) -> None:
    """File name -> text: the working tree's DAGs with these over them are what Airflow is to run."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "dags"
        shutil.copytree(ROOT / "dags", folder, ignore=shutil.ignore_patterns("__pycache__"))
        for name, text in files.items():
            (folder / name).write_text(text)
        push_dags(kubectl, folder, message=f"tests: {', '.join(files) or 'none'}")


@contextmanager
def accounts(kubectl: Kubectl, *dag_ids: str) -> Iterator[None]:
    """Whom the pods of pipelines run as, while the block runs; the chart makes them for its own."""
    made = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": service_account(dag_id)}}
        for dag_id in dag_ids
    ]
    where = ("--namespace", STEPS_NAMESPACE, "--filename", "-")
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    kubectl.text("apply", *where, stdin=manifest)
    try:
        yield
    finally:
        kubectl.text("delete", *where, stdin=manifest)
