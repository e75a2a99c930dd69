"""Stand-ins carry the names that the chart asks for, and stand on what their Dockerfiles say."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from tidegate.cluster import standins
from tidegate.cluster.project import ROOT, STANDINS


@pytest.mark.parametrize("item", standins.ALL, ids=lambda item: item.folder)
def test_dockerfile_says_what_it_stands_in_for_and_on_what(item: standins.StandIn) -> None:
    text = (STANDINS / item.folder / "Dockerfile").read_text()
    assert item.ref in text.splitlines()[0]
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == [item.base or "scratch"]
    assert "syntax=" not in text, "a frontend image would have to be pulled"


def test_every_image_is_built_after_what_it_stands_on() -> None:
    known = {standins.DEBIAN, ""}
    for item in standins.ALL:
        assert item.base in known
        known.add(item.ref)


def test_chart_names_the_images_that_are_stood_in_for() -> None:
    values = yaml.safe_load((ROOT / "helm" / "tidegate" / "values.yaml").read_text())
    sync = values["airflow"]["images"]["gitSync"]
    named = {
        values["database"]["image"],
        values["devcloud"]["versitygw"]["image"],
        values["devcloud"]["datalake"]["azurite"],
        values["devcloud"]["maildev"]["image"],
        values["people"]["database"]["image"],
        f"{sync['repository']}:{sync['tag']}",
    }
    assert named == set(standins.IN_CLUSTER)


@pytest.mark.parametrize("item", [item for item in standins.ALL if item.npm], ids=lambda item: item.folder)
def test_npm_packages_are_pinned_by_hash_at_the_version_of_the_image(item: standins.StandIn) -> None:
    lock = json.loads((STANDINS / item.folder / "package-lock.json").read_text())["packages"]
    wanted = json.loads((STANDINS / item.folder / "package.json").read_text())["dependencies"]
    assert wanted == {item.folder: item.ref.rpartition(":")[2]}
    packages = {name: one for name, one in lock.items() if name}
    assert len(packages) > 100
    assert [name for name, one in packages.items() if not one["integrity"].startswith("sha512-")] == []
    assert [name for name, one in packages.items() if "resolved" in one or one.get("hasInstallScript")] == []
