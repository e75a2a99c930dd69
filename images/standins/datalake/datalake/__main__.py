"""Serve an account, `DATALAKE_ACCOUNT` with `DATALAKE_KEY`, whose blobs `AZURITE_URL` (http://host:port) has.

Where: `DATALAKE_LISTEN` and `DATALAKE_ADMIN` (host:port). `DATALAKE_FILESYSTEMS`, names with commas, are made before
the first request is answered, where they are missing. `DATALAKE_READER_KEY`, Azurite's second key, may read only.
"""

from __future__ import annotations

import os
import sys

from datalake.lake import Lake
from datalake.server import Account, serve

NAMES = ("DATALAKE_ACCOUNT", "DATALAKE_KEY", "AZURITE_URL", "DATALAKE_LISTEN", "DATALAKE_ADMIN")


def main() -> None:
    """Serve until SIGTERM, or say what is not set."""
    missing = [f"${name}" for name in NAMES if not os.environ.get(name)]
    if missing:
        sys.exit(f"set {', '.join(missing)}")
    account, key, upstream, listen, admin = (os.environ[name] for name in NAMES)
    filesystems = [name for name in os.environ.get("DATALAKE_FILESYSTEMS", "").split(",") if name]
    lake = Lake(account=account, key=key, upstream=upstream)
    lake.make(filesystems)
    reader = os.environ.get("DATALAKE_READER_KEY", "")
    own = Account(name=account, key=key, upstream=upstream, lake=lake, reader_key=reader)
    serve(own, listen=listen, admin=admin)


main()
