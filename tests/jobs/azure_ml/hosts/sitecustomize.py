"""On the path of a process, this makes `*.azure-ml.test` the machine itself: the stand-in's storage account."""

from __future__ import annotations

import socket
from typing import Any

_real = socket.getaddrinfo


def _getaddrinfo(host: Any, *more: Any, **named: Any) -> Any:
    return _real("127.0.0.1" if str(host).endswith(".azure-ml.test") else host, *more, **named)


socket.getaddrinfo = _getaddrinfo
