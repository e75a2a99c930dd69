"""Serve at `AZURE_ML_API_LISTEN` and `AZURE_ML_API_ADMIN` (host:port), with TLS.

`AZURE_ML_API_URL` is how it is reached: https://host:port. `AZURE_ML_API_CERTIFICATE` and `AZURE_ML_API_PRIVATE_KEY`
name PEM files. `AZURE_ML_API_CLIENT_SECRET` is what service principals sign in with. `AZURITE_URL`, `AZURITE_ACCOUNT`
and `AZURITE_KEY` are the storage account; `AZURE_ML_API_STORAGE_SUFFIX` is host:port after `<account>.blob.`.

Two more may be set: `AZURE_ML_API_ISSUER`, a PEM file with the public key of whose federated tokens are believed, and
`AZURE_ML_API_MACHINE`, the host:port of a machine's metadata endpoint, which gives out managed identities.
"""

from __future__ import annotations

import os

import faults
from entra import Entra, serving

from azure_ml_api.server import serve
from azure_ml_api.storage import Storage
from azure_ml_api.world import World

NAMES = (
    *("AZURE_ML_API_LISTEN", "AZURE_ML_API_ADMIN", "AZURE_ML_API_URL", "AZURE_ML_API_CERTIFICATE"),
    *("AZURE_ML_API_PRIVATE_KEY", "AZURE_ML_API_CLIENT_SECRET", "AZURE_ML_API_STORAGE_SUFFIX"),
    *("AZURITE_URL", "AZURITE_ACCOUNT", "AZURITE_KEY"),
)


def main() -> None:
    """Serve until SIGTERM, or say what is not set."""
    given = faults.given(NAMES)
    storage = Storage(
        account=given["AZURITE_ACCOUNT"],
        key=given["AZURITE_KEY"],
        upstream=given["AZURITE_URL"],
        suffix=given["AZURE_ML_API_STORAGE_SUFFIX"],
    )
    issuer, machine = (os.environ.get(f"AZURE_ML_API_{name}", "") for name in ("ISSUER", "MACHINE"))
    own = Entra(
        url=given["AZURE_ML_API_URL"],
        secret=given["AZURE_ML_API_CLIENT_SECRET"],
        issuer=serving.public_key(issuer) if issuer else None,
    )
    if machine:
        serving.serve_machine(own, listen=machine)
    world = World(url=given["AZURE_ML_API_URL"], entra=own, storage=storage)
    serve(
        world,
        listen=given["AZURE_ML_API_LISTEN"],
        admin=given["AZURE_ML_API_ADMIN"],
        certificate=given["AZURE_ML_API_CERTIFICATE"],
        private_key=given["AZURE_ML_API_PRIVATE_KEY"],
    )


main()
