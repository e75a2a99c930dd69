"""Serve what `WEATHER_API_KEY` opens, at `WEATHER_API_LISTEN` and `WEATHER_API_ADMIN` (host:port).

`WEATHER_API_CALLS_PER_MINUTE` is the plan; 60 where it is not set.
"""

from __future__ import annotations

import os

import faults

from weather_api.server import serve

NAMES = ("WEATHER_API_KEY", "WEATHER_API_LISTEN", "WEATHER_API_ADMIN")


def main() -> None:
    """Serve until SIGTERM, or say what is not set."""
    key, listen, admin = faults.given(NAMES).values()
    per_minute = int(os.environ.get("WEATHER_API_CALLS_PER_MINUTE", "60"))
    serve(key=key, listen=listen, admin=admin, per_minute=per_minute)


main()
