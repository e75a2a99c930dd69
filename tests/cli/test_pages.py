"""A page stays open until Ctrl-C, also when its pod goes, and says where it is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tidegate.cli import pages
from tidegate.cli.kubectl import Kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


class Way:
    """As much of a port-forward as a page uses; Ctrl-C comes with the third look."""

    address = "127.0.0.1:1080"

    def __init__(self) -> None:
        self.looked, self.closed = 0, False

    def ensure(self) -> None:
        self.looked += 1
        if self.looked == 3:
            raise KeyboardInterrupt


def test_the_catchers_page_is_kept_open_until_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    way, asked, out = Way(), [], Console(width=100, highlight=False)

    @contextmanager
    def forward(kubectl: Kubectl, *where: Any, local: int) -> Iterator[Way]:
        asked.append((*where, local))
        yield way
        way.closed = True

    monkeypatch.setattr(pages, "forward", forward)
    monkeypatch.setattr(pages, "EVERY", 0)
    with out.capture() as said:
        pages.show(Kubectl("nowhere"), *pages.MAIL, local=1080, out=out)
    assert said.get() == "http://127.0.0.1:1080 (Ctrl-C ends this)\nclosed\n"
    assert asked == [("maildev", 1080, 1080)]
    assert (way.looked, way.closed) == (3, True)
