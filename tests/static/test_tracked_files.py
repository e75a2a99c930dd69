"""What is in the repository works on any machine: it names no package registry and no path of the one it was made on.

The names are read from the clients' own settings when the test runs, so a mirror of any kind is found as well.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYPI = ("pypi" + ".org", "files.pythonhosted" + ".org")
"""What pip uses where nothing is set; written so that this file does not name them."""
SECRETS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bghp_[A-Za-z0-9]{36}\b")


def output(*command: str) -> str:
    """What a client says, or nothing where it is not installed or fails."""
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60).stdout


def hosts(text: str) -> set[str]:
    """The hosts of all addresses in a text."""
    found = re.findall(r"\w+://[^\s,|'\"<>]+", text)
    return {host for address in found if (host := urlsplit(address).hostname)}


def apt_sources() -> str:
    files = [path for path in Path("/etc/apt").rglob("*") if path.suffix in (".list", ".sources") and path.is_file()]
    lines = [line for path in files for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    return "\n".join(lines)


def registry_hosts() -> set[str]:
    settings = [
        output("go", "env", "GOPROXY"),
        output("npm", "config", "get", "registry"),
        output(sys.executable, "-m", "pip", "config", "list"),
        apt_sources(),
    ]
    return hosts("\n".join(settings)) | set(PYPI)


def files() -> list[Path]:
    """Tracked files and those that would be, as they stand in the working tree; text only."""
    names = output("git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    paths = [ROOT / name for name in names if (ROOT / name).is_file()]
    return [path for path in paths if b"\0" not in path.read_bytes()[:8000]]


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def test_there_are_files_to_look_at() -> None:
    assert len(files()) > 50


def test_no_file_names_a_package_registry() -> None:
    found = registry_hosts()
    assert found
    assert lines_with(re.compile("|".join(re.escape(host) for host in sorted(found)))) == []


@pytest.mark.parametrize("path", [ROOT.parent, Path.home()], ids=["beside the checkout", "home"])
def test_no_file_names_a_path_of_this_machine(path: Path) -> None:
    if path in (Path("/"), Path("/root")):
        path = ROOT
    assert lines_with(re.compile(re.escape(f"{path}/"))) == []


def test_no_file_holds_a_key() -> None:
    assert lines_with(SECRETS) == []


def test_what_is_built_here_is_ignored() -> None:
    made = [
        ".venv/bin/python",
        "build/report.md",
        "helm/tidegate/charts/airflow-1.22.0.tgz",
        "tidegate/__pycache__/x.pyc",
    ]
    assert output("git", "check-ignore", *made).split() == made
