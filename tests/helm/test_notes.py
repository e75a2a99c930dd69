"""What the chart says after an install: that uninstall leaves just what it leaves."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.helm.renders import RENDERS, documents, find, render, staged, template
from tests.soak.lifecycle import promised

if TYPE_CHECKING:
    from pathlib import Path


def kept(name: str) -> set[str]:
    """The volumes that Kubernetes keeps of StatefulSets, and what helm is told to keep."""
    rendered = render(name)
    volumes = {
        f"{claim['metadata']['name']}-{d['metadata']['name']}-0"
        for d in rendered
        if d["kind"] == "StatefulSet"
        for claim in d["spec"].get("volumeClaimTemplates", [])
    }
    told = [d["metadata"] for d in rendered if "helm.sh/resource-policy" in (d["metadata"].get("annotations") or {})]
    return volumes | {one["name"] for one in told if one["annotations"]["helm.sh/resource-policy"] == "keep"}


SHOWN = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data:
  notes: |
    {{- tpl (.Files.Get "NOTES.txt") . | nindent 4 }}
"""


@pytest.mark.parametrize("name", ["official-celery", "official-production", "standalone"])
def test_uninstall_leaves_what_the_notes_list(name: str, tmp_path: Path) -> None:
    """`helm template` shows no notes, so a copy of the chart shows them in a ConfigMap."""
    chart = shutil.copytree(staged(name), tmp_path / "tidegate")
    shutil.copyfile(chart / "templates" / "NOTES.txt", chart / "NOTES.txt")
    (chart / "templates" / "notes.yaml").write_text(SHOWN)
    done = template(chart, RENDERS[name])
    assert done.returncode == 0, done.stderr
    assert promised(find(documents(done.stdout), "ConfigMap", "notes")["data"]["notes"]) == kept(name)
    assert kept(name)
