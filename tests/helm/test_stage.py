"""Making the chart ready: with the official chart, without it, and what is refused."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import httpx
import pytest
import yaml

from tests.helm.renders import airflow_chart
from tidegate.cluster import chart

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def nothing() -> None:
    return None


def archive(path: Path, *, version: str = chart.VERSION, member: str = "airflow/Chart.yaml") -> Path:
    """A small archive that looks like a chart."""
    content = yaml.safe_dump({"name": "airflow", "version": version}).encode()
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return path


def test_a_named_chart_is_kept_in_the_cache(tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart, "download", nothing)
    named = archive(tmp_path / "mine.tgz")
    kept = empty_cache / "charts" / f"airflow-{chart.VERSION}.tgz"
    assert chart.find_airflow_chart(named) == (kept, "official")
    named.unlink()
    assert chart.find_airflow_chart() == (kept, "official")


def test_where_none_is_to_be_had_airflow_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart, "download", nothing)
    assert chart.find_airflow_chart() == (None, "standalone")


def test_a_published_chart_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    content = archive(tmp_path / "published.tgz").read_bytes()

    def get(address: str, **_: object) -> httpx.Response:
        asked.append(address)
        return httpx.Response(200, content=content)

    monkeypatch.setattr(chart.httpx, "get", get)
    assert chart.find_airflow_chart()[1] == chart.find_airflow_chart()[1] == "official"
    assert asked == [chart.ADDRESS]


@pytest.mark.parametrize("fault", [httpx.ConnectTimeout("slow"), httpx.ConnectError("no route")])
def test_an_unreachable_publisher_is_no_error(fault: httpx.HTTPError, monkeypatch: pytest.MonkeyPatch) -> None:
    def get(_: str, **__: object) -> httpx.Response:
        raise fault

    monkeypatch.setattr(chart.httpx, "get", get)
    assert chart.download() is None


def test_a_missing_page_is_no_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart.httpx, "get", lambda _, **__: httpx.Response(404))
    assert chart.download() is None


def test_another_version_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(chart.ChartError, match=r"mine\.tgz holds airflow 1\.0\.0; want airflow 1\.22\.0"):
        chart.find_airflow_chart(archive(tmp_path / "mine.tgz", version="1.0.0"))


def test_another_chart_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(chart.ChartError, match="is not a Helm chart of Airflow"):
        chart.find_airflow_chart(archive(tmp_path / "mine.tgz", member="nginx/Chart.yaml"))


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
def test_what_is_no_archive_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.tgz").write_bytes(content)
    with pytest.raises(chart.ChartError, match=r"mine\.tgz is not a Helm chart of Airflow"):
        chart.find_airflow_chart(tmp_path / "mine.tgz")


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(chart.ChartError, match=r"nowhere\.tgz"):
        chart.find_airflow_chart(tmp_path / "nowhere.tgz")


def test_the_copy_without_the_official_chart_stands_alone() -> None:
    folder = chart.stage(None)
    assert "dependencies" not in yaml.safe_load((folder / "Chart.yaml").read_text())
    values = yaml.safe_load((folder / "values.yaml").read_text())
    assert (values["airflow"]["enabled"], values["standalone"]["enabled"]) == (False, True)
    assert not (folder / "charts").exists()


def test_the_copy_with_the_official_chart_holds_it() -> None:
    official = airflow_chart()
    folder = chart.stage(official)
    assert (folder / "charts" / f"airflow-{chart.VERSION}.tgz").read_bytes() == official.read_bytes()
    assert yaml.safe_load((folder / "values.yaml").read_text())["airflow"]["enabled"] is True


def test_the_copy_is_made_once_and_anew_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = chart.stage(None)
    assert chart.stage(None) == first
    assert chart.stage(archive(tmp_path / "a.tgz")) != first
    assert [path.name for path in first.parent.iterdir()] == ["tidegate"]
