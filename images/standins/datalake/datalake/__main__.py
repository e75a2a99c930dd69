"""Serve an account, `DATALAKE_ACCOUNT` with `DATALAKE_KEY`, whose blobs `AZURITE_URL` (http://host:port) has.

Where: `DATALAKE_LISTEN` and `DATALAKE_ADMIN` (host:port). `DATALAKE_FILESYSTEMS`, names with commas, are made before
the first request is answered, where they are missing. `DATALAKE_READER_KEY`, Azurite's second key, may read only.

For tokens of Entra: `DATALAKE_ENTRA_URL`, https://host:port, and `DATALAKE_ENTRA_CA`, the PEM file of its authority.
Clients send tokens over TLS only: `DATALAKE_CERTIFICATE` and `DATALAKE_PRIVATE_KEY` name PEM files.
"""

from __future__ import annotations

import os

import faults
from entra import Keys, serving

from datalake.access import AUDIENCE, Access
from datalake.lake import Lake
from datalake.server import Account, serve

NAMES = ("DATALAKE_ACCOUNT", "DATALAKE_KEY", "AZURITE_URL", "DATALAKE_LISTEN", "DATALAKE_ADMIN")
OPTIONAL = ("READER_KEY", "ENTRA_URL", "ENTRA_CA", "CERTIFICATE", "PRIVATE_KEY")


def main() -> None:
    """Serve until SIGTERM, or say what is not set."""
    account, key, upstream, listen, admin = faults.given(NAMES).values()
    filesystems = [name for name in os.environ.get("DATALAKE_FILESYSTEMS", "").split(",") if name]
    lake = Lake(account=account, key=key, upstream=upstream)
    lake.make(filesystems)
    reader, entra, ca, certificate, private_key = (os.environ.get(f"DATALAKE_{name}", "") for name in OPTIONAL)
    keys = Keys(url=entra, ca=ca, audience=AUDIENCE) if entra else None
    access = Access(account=account, key=key, reader_key=reader, keys=keys)
    tls = serving.tls(certificate, private_key) if certificate else None
    serve(Account(access=access, upstream=upstream, lake=lake), listen=listen, admin=admin, tls=tls)


main()
