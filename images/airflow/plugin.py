"""Where Airflow looks for plugins; what it finds stands in the library."""

from tidegate.page.plugin import TidegatePlugin

__all__ = ["TidegatePlugin"]
