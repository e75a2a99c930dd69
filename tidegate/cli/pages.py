"""Web pages of the cluster on a port of this machine, until Ctrl-C.

Reads: nothing. Writes: one line with the address. Again: a way that ends with its pod is opened anew on the same port.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tidegate.cli.port_forward import forward

if TYPE_CHECKING:
    from rich.console import Console

    from tidegate.cli.kubectl import Kubectl

MAIL: Final = ("maildev", 1080)
"""Service and port of the development mail catcher's page."""
EVERY = 2.0
"""Seconds between looks whether the way is still open."""


def show(kubectl: Kubectl, service: str, port: int, *, local: int, out: Console, note: str = "") -> None:
    """Keep the page on 127.0.0.1:`local` until Ctrl-C."""
    with forward(kubectl, service, port, local=local) as way:
        out.print(f"http://{way.address} ({note}Ctrl-C ends this)")
        try:
            while True:
                way.ensure()
                time.sleep(EVERY)
        except KeyboardInterrupt:
            out.print("closed")
