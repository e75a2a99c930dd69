"""Serve: `DATALAKE_ACCOUNT`, `DATALAKE_KEY`, `AZURITE_URL` (http://host:port) and `DATALAKE_LISTEN` (host:port)."""

from __future__ import annotations

import os
import sys

from datalake.server import serve

NAMES = ("DATALAKE_ACCOUNT", "DATALAKE_KEY", "AZURITE_URL", "DATALAKE_LISTEN")


def main() -> None:
    """Serve until SIGTERM, or say what is not set."""
    missing = [f"${name}" for name in NAMES if not os.environ.get(name)]
    if missing:
        sys.exit(f"set {', '.join(missing)}")
    account, key, upstream, listen = (os.environ[name] for name in NAMES)
    serve(account=account, key=key, upstream=upstream, listen=listen)


main()
