"""A service of the cluster on a port of this machine, on 127.0.0.1 only, for as long as a block runs.

Again: `kubectl port-forward` ends when its pod does; `Forward.ensure` starts it anew on the same port.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.fault import Fault
from tidegate.cli.kubectl import NAMESPACE, Kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator

READY = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")
STARTS_WITHIN = 60.0
"""Seconds; a pod that has just become ready may refuse the first connections."""
FIRST_LINE_WITHIN = 15.0
"""Seconds for one kubectl to say that its port is open."""


@dataclass
class Forward:
    """One `kubectl port-forward`. `local` 0 takes any free port and then keeps it.

    `service` may be `kind/name` as well: what is not a service has ports that no service offers.
    """

    kubectl: Kubectl
    service: str
    port: int
    local: int = 0
    namespace: str = NAMESPACE
    within: float = STARTS_WITHIN
    """Seconds for it to open."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    opening: threading.Lock = field(default_factory=threading.Lock, repr=False)
    """Two threads that find it closed open it once."""

    @property
    def address(self) -> str:
        """`127.0.0.1:<port>`."""
        return f"127.0.0.1:{self.local}"

    def ensure(self) -> None:
        """Return with the port open; at once if it is."""
        with self.opening:
            deadline, said = time.monotonic() + self.within, ""
            while self.process is None or self.process.poll() is not None:
                if time.monotonic() > deadline:
                    msg = f"no way to {self.namespace}/{self.service}:{self.port} within {self.within:.0f} s: {said}"
                    raise Fault(msg)
                said = self._start() or said

    def _start(self) -> str:
        """Start once; returns what kubectl complained of, or nothing when the port is open."""
        arguments = ("port-forward", "--namespace", self.namespace, "--address", "127.0.0.1")
        target = self.service if "/" in self.service else f"service/{self.service}"
        command = self.kubectl.command(*arguments, target, f"{self.local or ''}:{self.port}")
        # A file, since kubectl writes a line for every connection and would stop at a full pipe.
        with tempfile.NamedTemporaryFile(prefix="tidegate-forward-") as said:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
            text = _opening(Path(said.name), self.process)
        if found := READY.search(text):
            self.local = int(found[1])
            return ""
        self.close()
        time.sleep(1)
        return text.strip()

    def close(self) -> None:
        """Stop it and wait until it is gone."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


def _opening(log: Path, process: subprocess.Popen[bytes]) -> str:
    """What kubectl wrote until its port was open, it ended, or the time was over."""
    deadline = time.monotonic() + FIRST_LINE_WITHIN
    while not READY.search(log.read_text()) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return log.read_text()


@contextmanager
def forward(
    kubectl: Kubectl, service: str, port: int, *, local: int = 0, within: float = STARTS_WITHIN
) -> Iterator[Forward]:
    """The service's port on 127.0.0.1 while the block runs."""
    opened = Forward(kubectl, service, port, local, within=within)
    try:
        opened.ensure()
        yield opened
    finally:
        opened.close()
