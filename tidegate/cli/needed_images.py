"""Which images an install needs: those of `skaffold.yaml`, and whatever else the chart's render names.

Reads: the checkout, the values files that are given, helm's render of them; the official chart where it can be had.
Writes: nothing. It is the render that counts, not a list beside it: with `devcloud.enabled: false` there are fewer.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from tidegate.cli import release
from tidegate.cluster import chart, commands, images
from tidegate.cluster.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NAMED: Final = re.compile(r"""\bimage\\?["']?:\s*\\?["']?([a-z0-9][\w./-]*(?::\d+/[\w./-]+)?[:@][\w.:@-]+)""")
"""An image in a manifest, in the pod of an executor, or in what Airflow is told of a step, which is JSON in YAML."""
KUBE_VERSION: Final = "1.34.0"
"""A helm that was built from source believes in a very old one."""
BUILT, UPSTREAM = "built here", "upstream"


@dataclass(frozen=True, kw_only=True)
class Needed:
    """One image."""

    name: str
    """Last part of its repository."""
    ref: str
    comes_from: str
    """`BUILT` or `UPSTREAM`."""


def needed(*, values: Sequence[Path] = ()) -> list[Needed]:
    """Ours in the order of `skaffold.yaml`, then the others by name; each once, with its exact tag.

    Raises:
        CommandFailed: helm refuses the values; the error carries its words.
    """
    refs = images.references()
    rendered = in_render(_render(refs, values))
    ours = [
        Needed(name=name, ref=ref, comes_from=BUILT) for name, ref in refs.items() if name == "base" or ref in rendered
    ]
    others = sorted(rendered - set(refs.values()))
    return [*ours, *(Needed(name=_name(ref), ref=ref, comes_from=UPSTREAM) for ref in others)]


def in_render(text: str) -> set[str]:
    """Every image that a render names."""
    return set(NAMED.findall(text))


def _name(ref: str) -> str:
    return re.split("[:@]", ref.rsplit("/", 1)[-1])[0]


def _render(refs: dict[str, str], values: Iterable[Path]) -> str:
    """What helm makes of the chart with our images' exact names; files that are given come after."""
    found, _ = chart.find_airflow_chart()
    with tempfile.TemporaryDirectory(prefix="tidegate-images-") as folder:
        exact = Path(folder) / "images.yaml"
        exact.write_text(yaml.safe_dump(release.values(refs)), encoding="utf-8")
        files = [word for path in (exact, *values) for word in ("--values", str(path))]
        where = ["--namespace", "tidegate", "--kube-version", KUBE_VERSION]
        command: list[str | Path] = [program("helm"), "template", release.NAME, chart.stage(found), *where, *files]
        return commands.output(command, env={"KUBECONFIG": "/dev/null"}, timeout=120)
