"""The ledger's page in Airflow's UI: what ran, what was skipped and why, and what that saved.

`plugin` is what Airflow loads in every process, so it imports next to nothing; `app` is the page itself, imported in
the API server when it is first asked for. Reads the ledger, and Airflow's own word on who may see which pipeline.
"""

from typing import Final

PREFIX: Final = "/tidegate/ledger"
"""Where Airflow mounts it, below the UI's own base."""
