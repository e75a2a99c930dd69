"""A tag stands for everything that goes into an image, and for nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from tidegate.cluster.images import ImageError, copied, listed, references
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

LIST = """
build:
  artifacts:
    - {image: tidegate/base, context: ., custom: {dependencies: {dockerfile: {path: images/base/Dockerfile}}}}
    - image: tidegate/hello
      context: .
      custom: {dependencies: {dockerfile: {path: images/hello/Dockerfile}}}
      requires: [{image: tidegate/base, alias: BASE}]
"""
HELLO = """ARG BASE
FROM ${BASE}
COPY --chmod=0755 jobs/hello.py \\
     jobs/__init__.py jobs/
COPY --from=elsewhere /x /y
COPY library library/
RUN COPY is no instruction here
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "skaffold.yaml": LIST,
        "images/base/Dockerfile": "FROM scratch\n",
        "images/hello/Dockerfile": HELLO,
        "jobs/hello.py": "print('hello')",
        "jobs/__init__.py": "",
        "jobs/other.py": "",
        "library/deep/module.py": "x = 1",
        "library/__pycache__/module.pyc": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def tag(root: Path, image: str = "hello") -> str:
    return references(root=root)[image]


def test_what_is_copied_is_what_the_dockerfile_names(root: Path) -> None:
    names = {str(path.relative_to(root)) for path in copied(listed(root)[1], root)}
    assert names == {"jobs/hello.py", "jobs/__init__.py", "library/deep/module.py"}


@pytest.mark.parametrize(
    "path", ["jobs/hello.py", "library/deep/module.py", "images/hello/Dockerfile", "images/base/Dockerfile"]
)
def test_what_goes_in_changes_the_tag(root: Path, path: str) -> None:
    before = tag(root)
    (root / path).write_text((root / path).read_text() + "\n# changed")
    assert tag(root) != before


@pytest.mark.parametrize("path", ["jobs/other.py", "library/__pycache__/module.pyc"])
def test_what_stays_out_does_not(root: Path, path: str) -> None:
    before = tag(root)
    (root / path).write_text("changed")
    assert tag(root) == before


def test_names_and_modes_count(root: Path) -> None:
    before = tag(root)
    (root / "library/deep/module.py").chmod(0o755)
    runnable = tag(root)
    (root / "library/deep/module.py").rename(root / "library/deep/renamed.py")
    assert len({before, runnable, tag(root)}) == 3


def test_a_registry_comes_first(root: Path) -> None:
    assert references(registry="registry.example/mirror/", root=root)["hello"] == f"registry.example/mirror/{tag(root)}"


def test_a_missing_file_is_named(root: Path) -> None:
    (root / "jobs/hello.py").unlink()
    with pytest.raises(ImageError, match=r"images/hello/Dockerfile: COPY jobs/hello\.py: there is no such file"):
        tag(root)
    (root / "images/hello/Dockerfile").unlink()
    with pytest.raises(ImageError, match=r"lists tidegate/hello, but there is no images/hello/Dockerfile"):
        tag(root)


def test_an_image_comes_after_what_it_stands_on(root: Path) -> None:
    (root / "skaffold.yaml").write_text(LIST.replace("tidegate/base, context", "tidegate/other, context"))
    with pytest.raises(ImageError, match="put base before hello"):
        listed(root)


def test_skaffold_hands_every_image_to_the_chart() -> None:
    document = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
    handed = " ".join(document["deploy"]["helm"]["releases"][0]["setValueTemplates"].values())
    for image in listed():
        variable = image.repository.replace("/", "_")
        assert image.name == "base" or re.search(rf"IMAGE_(FULLY_QUALIFIED|REPO)_{variable}\b", handed), image.name
