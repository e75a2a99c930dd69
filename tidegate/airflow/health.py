"""How the ledger, the stores and the pipelines' files look from inside the platform. Writes nothing.

    python -m tidegate.airflow.health ledger [--store URL]...    in the triggerer's container, which uses them
    python -m tidegate.airflow.health dags                       in the DAG processor's, which reads the files

Prints one line of JSON after `HEALTH `. What is wrong is a `fault` in it, in words and without an address's password.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.airflow.clerk import find_address, spool_folder
from tidegate.airflow.spec import SpecError
from tidegate.ledger import Ledger, LedgerError
from tidegate.ledger.pulse import pulse
from tidegate.ledger.verify import NoStores
from tidegate.step import NoBucket, NotFound, Stores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HOUR = timedelta(hours=1)
SECONDS = 20.0
"""What does not answer within is not there; the SDKs of the stores try longer."""
LOOKED_FOR = "_HEALTH"
"""An object that never is: that a store says so is what is wanted."""
COMMIT = re.compile(r"[0-9a-f]{7,64}")
FOLDER = "AIRFLOW__CORE__DAGS_FOLDER"
DEFAULT_FOLDER = "/opt/airflow/dags"

Told = dict[str, Any]


def ledger_health(address: str, spool: Path) -> Told:
    """Whether it answers and how fast, its figures, and what waits beside Airflow's logs to be written into it."""
    waiting = sorted(spool.glob("*.json"))
    told: Told = {"spooled": len(waiting), "refused": len(list(spool.glob("*.refused"))), "fault": ""}
    if waiting:
        told["spooled_for"] = round(time.time() - waiting[0].stat().st_mtime)
    if not address:
        return told | {"fault": "there is no ledger, so every step runs; make the Secret ledger"}
    ledger = Ledger(address, probe=NoStores())
    began = time.monotonic()
    try:
        counts = asdict(ledger.do(pulse(since=HOUR)))
    except LedgerError as fault:
        return told | {"fault": _line(fault)}
    finally:
        ledger.shut()
    return told | {"seconds": round(time.monotonic() - began, 3), "counts": counts}


def store_health(url: str) -> Told:
    """Whether a store answers to the account that looks whether recorded results are still there."""
    began = time.monotonic()
    fault = ""
    try:
        Stores().stat(f"{url.rstrip('/')}/{LOOKED_FOR}")
    except NoBucket as missing:
        fault = _line(missing)
    except NotFound:
        pass
    except Exception as error:
        fault = _line(error)
    return {"url": url, "fault": fault, "seconds": round(time.monotonic() - began, 3)}


def dags_health(folder: Path) -> Told:
    """The commit that git-sync last brought, and when: the link it switches is in the folder's path."""
    for path in (folder, *folder.parents):
        if path.is_symlink() and COMMIT.fullmatch(path.readlink().name):
            since = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
            return {"commit": path.readlink().name, "since": since.isoformat(timespec="seconds")}
    return {"commit": "", "since": ""}


def _line(error: Exception) -> str:
    """One line; database drivers add several."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:500]


def told(what: str, stores: Sequence[str], environ: Mapping[str, str]) -> Told:
    """All that was asked for, each part within its time."""
    if what == "dags":
        return {"dags": dags_health(Path(environ.get(FOLDER) or DEFAULT_FOLDER))}
    asked: dict[str, Callable[[], Told]] = {"ledger": _ledger}
    asked |= {url: lambda url=url: store_health(url) for url in stores}  # type: ignore[misc]
    threads = ThreadPoolExecutor(len(asked))
    running = {name: threads.submit(ask) for name, ask in asked.items()}
    deadline = time.monotonic() + SECONDS
    found: dict[str, Told] = {}
    for name, future in running.items():
        try:
            found[name] = future.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            found[name] = {"url": name, "fault": f"no answer within {SECONDS:.0f} s"}
    return {"ledger": found.pop("ledger"), "stores": list(found.values())}


def _ledger() -> Told:
    try:
        address = asyncio.run(find_address())
    except SpecError as fault:
        return {"fault": _line(fault)}
    return ledger_health(address, spool_folder())


def main() -> None:
    """Print what was asked for, and end, whatever thread still waits for a store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["ledger", "dags"])
    parser.add_argument("--store", action="append", default=[], help="URL of a store")
    options = parser.parse_args()
    line = json.dumps(told(options.what, options.store, os.environ))
    sys.stdout.write(f"\nHEALTH {line}\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
