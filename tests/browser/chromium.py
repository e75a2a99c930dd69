"""Debian's Chromium, driven by Selenium: a window of a known size that reaches nothing but this machine.

Needs the programs of Debian's `chromium` and `chromium-driver`, which are of one version; nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # root has none, and tests run as root in CI
    "--disable-dev-shm-usage",  # /dev/shm of a container is small
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--lang=en-GB",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@contextmanager
def chromium(folder: Path) -> Iterator[Chrome]:
    """A browser with a new profile in `folder`, which notes all that pages say in its console."""
    options = ChromeOptions()
    options.binary_location = _program("chromium")
    for option in (*OPTIONS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = ChromeService(_program("chromedriver"), log_output=str(folder / "chromedriver.log"))
    driver = Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()


def _program(name: str) -> str:
    """Where it is; in CI its absence is a failure, elsewhere these tests are skipped."""
    if path := shutil.which(name):
        return path
    message = f"{name} is not installed; apt-get install chromium chromium-driver"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
