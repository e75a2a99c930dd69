"""`python -m tidegate` is the command `tidegate`."""

from tidegate.cli import app

if __name__ == "__main__":
    app()
