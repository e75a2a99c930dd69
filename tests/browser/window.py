"""What a person does in Airflow's UI: sign in, open a page, look into the ledger's frame, take a picture."""

from __future__ import annotations

import base64
import io
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.local_airflow import ROOT, USER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

WIDE, NARROW = (1280, 860), (390, 844)
SECONDS = 60
FEW_COLOURS = Image.Quantize.FASTOCTREE
"""256, which the page hardly has: a third of the bytes."""
PICTURES = Path(os.environ.get("PICTURES") or ROOT / "build" / "pictures")


@dataclass(frozen=True)
class Window:
    """A browser that looks at an Airflow."""

    driver: Chrome
    url: str

    def sign_in(self, password: str) -> None:
        """By the form, as everybody."""
        self.resize(WIDE)
        self.driver.get(self.url)
        self.see("input[name=username]").send_keys(USER)
        self.see("input[name=password]").send_keys(password)
        self.see("button[type=submit]").click()
        self.until(lambda: self.find("//button[normalize-space()='Browse']"), "the menu")

    def resize(self, size: tuple[int, int]) -> None:
        """Give the page so many pixels."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def open(self, path: str) -> None:
        """Go to a path of Airflow's."""
        self.driver.get(f"{self.url}/{path}")

    def home(self) -> None:
        """Go to Airflow's first page, where who has signed in is already."""
        if urlsplit(self.driver.current_url).path != "/":
            self.open("")

    def find(self, xpath: str) -> WebElement | None:
        """The first element, if there is one."""
        return next(iter(self.driver.find_elements(By.XPATH, xpath)), None)

    def all(self, css: str) -> list[WebElement]:
        """Every element."""
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def see(self, css: str) -> WebElement:
        """The first element, once it is there."""
        return self.until(lambda: self.all(css), css)[0]

    def texts(self, css: str) -> list[str]:
        """What they say, line breaks as spaces."""
        return [" ".join(one.text.split()) for one in self.all(css)]

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for something, or say what the page looked like."""
        said = lambda: f"waited for {what} on {self.driver.current_url}: {self.see_text()[:2000]}"  # noqa: E731
        waiting = WebDriverWait(self.driver, SECONDS, poll_frequency=0.1)
        try:
            return waiting.until(lambda _: condition())
        except Exception as fault:
            raise AssertionError(said()) from fault

    def see_text(self) -> str:
        """All that can be read."""
        return "".join(one.text for one in self.all("body"))

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Look into the ledger's frame, once its page is there."""
        self.driver.switch_to.frame(self.see("iframe[title=Ledger]"))
        try:
            self.until(lambda: self.all("body *"), "the ledger's page")
            yield
        finally:
            self.driver.switch_to.default_content()

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script in the page returns."""
        return self.driver.execute_script(f"return {script}", *arguments)

    def complaints(self) -> list[str]:
        """What pages have said in the console since the last time, that is worse than a word of caution."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def picture(self, name: str) -> Path:
        """Keep what the window shows."""
        path = PICTURES / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shown = Image.open(io.BytesIO(base64.b64decode(self.driver.get_screenshot_as_base64())))
        shown.convert("RGB").quantize(method=FEW_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        return path
