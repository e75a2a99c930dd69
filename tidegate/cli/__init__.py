"""The command `tidegate`: from nothing to pipelines that have run, and the daily handles on them.

Layers, top down: `app` (arguments and printing), `up` and `down` (the order of things), and one module for each thing
they handle: `release` (helm), `git_push`, `objects`, `runs` on `airflow_api`, all on `kubectl` and `port_forward`.
"""

from tidegate.cli.app import app

__all__ = ["app"]
