"""How big an image may be, and how big it is: for the tests that hold it to that, and the benchmark that tells it."""

from __future__ import annotations

from tidegate.cluster import commands, engine

LARGE = {"train_model": 600, "upload_model": 600, "make_people": 300, "dedup_people": 400, "airflow": 700}
"""Images with ML libraries, with Arrow or with Airflow, and the MB they may add to the base's root."""
STANDINS = {"datalake": 60, "weather_api": 60, "azure_ml_api": 60}
SMALL = 150
"""MB that a step of any other kind may add."""
FREE = ("base", "git_server")
"""What others stand on, and what is all git, in a layer that it shares with Airflow."""


def budget(image: str) -> int | None:
    """MB that an image may add to the base's root; None where nobody minds."""
    return None if image in FREE else {**LARGE, **STANDINS}.get(image, SMALL)


def unpacked(ref: str) -> float:
    """MB (of 1024 * 1024 bytes) that its files take on disk."""
    hardened = ["--rm", "--read-only", "--cap-drop=ALL", "--network=none", "--user=0", "--cap-add=DAC_READ_SEARCH"]
    told = commands.output([engine.docker(), "run", *hardened, "--entrypoint=du", ref, "-sxk", "/"], timeout=180)
    return int(told.split()[0]) / 1024
