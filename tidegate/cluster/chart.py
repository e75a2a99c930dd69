"""The Helm chart, made ready to install: `stage(*find_airflow_chart(explicit))`.

Reads: `helm/tidegate`, and the official Airflow chart from a path, from the cache or from where Airflow publishes it.
Writes: `<cache>/charts/airflow-1.22.0.tgz`, and `<cache>/staged-charts/<key>/tidegate`, a copy of our chart that Helm
accepts as it is. Again: nothing that is there is fetched or copied twice.

Helm refuses a chart with a missing dependency even when the dependency is switched off. So where the official chart
cannot be had, the staged copy has no dependency, and the values of `examples/standalone.yaml` instead.
"""

from __future__ import annotations

import shutil
import tarfile
from typing import TYPE_CHECKING, Any, Final, Literal

import httpx
import yaml

from tidegate.cluster import cache
from tidegate.cluster.errors import ClusterError
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

CHART: Final = ROOT / "helm" / "tidegate"
"""Our chart as it stands in the checkout."""

STANDALONE: Final = CHART / "examples" / "standalone.yaml"
"""The values that make it do without the official chart."""

VERSION: Final = "1.22.0"
"""Of the official chart; `Chart.yaml` says the same."""

ADDRESS: Final = f"https://airflow.apache.org/airflow-{VERSION}.tgz"

PATIENCE: Final = httpx.Timeout(20, connect=5)
"""Seconds; without a network the answer is known at once, behind a silent firewall after five."""

Mode = Literal["official", "standalone"]
"""Where Airflow comes from: the official chart, or one pod of ours."""


class ChartError(ClusterError):
    """The file that was named as the official chart is not it."""


def find_airflow_chart(explicit: Path | None = None) -> tuple[Path | None, Mode]:
    """Return the official chart's archive and "official", or None and "standalone" where it cannot be had.

    A chart that was named or downloaded is kept in the cache, so that the next call finds it.

    Raises:
        ChartError: `explicit` is not the official chart in the wanted version.
    """
    kept = cache.folder("charts") / f"airflow-{VERSION}.tgz"
    if explicit is not None:
        check(explicit)
        return cache.write(kept, explicit.read_bytes()), "official"
    if not kept.is_file() and (content := download()):
        cache.write(kept, content)
    if not kept.is_file():
        return None, "standalone"
    check(kept)
    return kept, "official"


def check(archive: Path) -> None:
    """Refuse what is not the official chart in the wanted version."""
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("airflow/Chart.yaml")
            about = yaml.safe_load(member.read()) if member else {}
    except (OSError, KeyError, tarfile.TarError, yaml.YAMLError) as error:
        raise ChartError(f"{archive} is not a Helm chart of Airflow ({error}); want {ADDRESS}") from error
    found = f"{about.get('name')} {about.get('version')}"
    if found != f"airflow {VERSION}":
        raise ChartError(f"{archive} holds {found}; want airflow {VERSION}, {ADDRESS}")


def download() -> bytes | None:
    """Return the official chart as Airflow publishes it, or None where that cannot be reached."""
    try:
        answer = httpx.get(ADDRESS, timeout=PATIENCE, follow_redirects=True)
    except httpx.HTTPError:
        return None
    return answer.content if answer.is_success else None


def stage(airflow_chart: Path | None) -> Path:
    """Return a folder with our chart that `helm install` takes; for None, one that needs no official chart."""
    key = cache.fingerprint(CHART, airflow_chart or "standalone")

    def build(folder: Path) -> None:
        copy = folder / "tidegate"
        shutil.copytree(CHART, copy, ignore=shutil.ignore_patterns("__pycache__"))
        if airflow_chart:
            (copy / "charts").mkdir(exist_ok=True)
            shutil.copyfile(airflow_chart, copy / "charts" / f"airflow-{VERSION}.tgz")
        else:
            _do_without(copy)

    return cache.entry("staged-charts", key, build) / "tidegate"


def _do_without(chart: Path) -> None:
    """Take the dependency out of a copy of our chart, and make standalone its default."""
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    del about["dependencies"]
    (chart / "Chart.yaml").write_text(yaml.safe_dump(about, sort_keys=False))
    values = merged(yaml.safe_load((chart / "values.yaml").read_text()), yaml.safe_load(STANDALONE.read_text()))
    (chart / "values.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return `below` with the keys of `above` over it, objects merged, as Helm merges values."""
    both = dict(below)
    for key, value in above.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both
