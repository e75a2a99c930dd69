"""`python -m tidegate.ledger …`: the commands of `tidegate ledger` where that program is not: in Airflow's image."""

from tidegate.ledger.cli import app

if __name__ == "__main__":
    app(prog_name="python -m tidegate.ledger")
