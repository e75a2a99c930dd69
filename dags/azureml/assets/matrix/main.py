"""Says which versions this job runs with."""

from __future__ import annotations

from importlib.metadata import version

for name in ("azure-ai-ml", "azure-storage-blob"):
    print(name, version(name))  # noqa: T201 - what the job is for
