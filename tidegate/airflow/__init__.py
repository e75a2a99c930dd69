"""Airflow's side: `step()`, which a DAG file is made of, and what stands behind it."""

from tidegate.airflow.steps import step

__all__ = ["step"]
