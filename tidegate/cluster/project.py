"""Where the checkout's own files lie."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
"""The checkout."""

AIRGAP: Final = ROOT / "k8s" / "airgap"
"""What a kind node is built from where no image can be pulled."""

STANDINS: Final = ROOT / "images" / "standins"
"""One folder per image that stands in for an upstream one."""
