"""Tidegate: pipelines on Kubernetes, run only where something changed."""
