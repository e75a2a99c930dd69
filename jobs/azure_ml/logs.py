"""A job's own log, printed as it comes: for people to read, and never what decides how the job ended.

The SDK's `stream` fails when a token cannot be fetched in the middle of a job (Azure/azure-sdk-for-python#35806) and
returns normally from a cancelled one. So it runs beside the wait, and is begun again where it failed.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

log = logging.getLogger(__name__)

PAUSE = 30.0
"""Seconds before a stream that failed is begun again."""

LAST_LINES = 15.0
"""Seconds that the end of the log may take after the job's end."""


class Tail:
    """Prints the log of one job until it ends."""

    def __init__(self, client: MLClient, name: str, *, pause: float = PAUSE) -> None:
        self._client, self._name, self._pause = client, name, pause
        self.began = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True, name=f"log of {name}")

    def start(self) -> None:
        """Begin; a wait that is cut short leaves nothing behind but a daemon thread."""
        self.began = True
        self._thread.start()

    def end(self, *, seconds: float = LAST_LINES) -> None:
        """The job is over: give what is left of its log some time."""
        self._over.set()
        self._thread.join(seconds)

    def _follow(self) -> None:
        while True:
            begun = time.monotonic()
            try:
                self._client.jobs.stream(self._name)
            except Exception as error:  # whatever it is, it is only the log
                log.debug("the log of %s broke off after %.0f s: %r", self._name, time.monotonic() - begun, error)
            else:
                return
            if self._over.wait(self._pause):
                return


def poll_often(seconds: float) -> None:
    """Let the SDK look for new lines so often; to be said before it is imported."""
    for end in ("MIN", "MAX"):
        os.environ.setdefault(f"AZUREML_RUN_POLLING_INTERVAL_{end}", str(max(1, int(seconds))))
