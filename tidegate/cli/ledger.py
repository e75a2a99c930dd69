"""`tidegate ledger …`: the ledger's own commands, and the way to the ledger they read.

Reads: `$TIDEGATE_LEDGER_URL` where it is set; else the Secret `ledger` of the installed release, whose database is
reached by a port-forward for as long as a command runs. What the commands do stands in `tidegate.ledger.cli`, which is
imported when one of them is asked for: the database libraries cost half a second that others need not pay.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from tidegate.cli import state
from tidegate.cli.fault import Fault
from tidegate.cli.kubectl import Kubectl
from tidegate.cli.port_forward import forward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "ledger"  # noqa: S105 - the name of a Secret
KEY = "connection"
SERVICE, PORT = "postgresql", 5432
"""The chart's own database."""


class LedgerGroup(TyperGroup):
    """The commands of `tidegate.ledger.cli`, once somebody asks for them."""

    # Newer versions of typer bring a click of their own, older ones use the installed one: no type fits both.

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401
        """Their names."""
        names: list[str] = _commands().list_commands(ctx)
        return names

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401
        """One of them."""
        return _commands().get_command(ctx, cmd_name)


def _commands() -> Any:  # noqa: ANN401 - see above
    try:
        from tidegate.ledger.cli import app  # noqa: PLC0415 - see the module
    except ModuleNotFoundError as error:
        msg = f"{error.name} is not installed; `pip install tidegate` brings it, or `make up` in a checkout"
        raise Fault(msg) from error
    return typer.main.get_command(app)


def show_way(context: str | None) -> Callable[[], None]:
    """Let the commands use `reached`; returns what undoes it."""
    from tidegate.ledger.cli import WAY  # noqa: PLC0415 - see the module

    token = WAY.set(lambda: reached(context))
    return lambda: WAY.reset(token)


@contextmanager
def reached(context: str | None) -> Iterator[str]:
    """The ledger's address while the block runs."""
    if address := os.environ.get("TIDEGATE_LEDGER_URL", "").strip():
        yield address
        return
    kubectl = Kubectl(state.context(context))
    inside = _address(kubectl)
    with forward(kubectl, SERVICE, PORT) as way:
        yield through(inside, way.local)


def _address(kubectl: Kubectl) -> str:
    found = kubectl.secret(SECRET).get(KEY, "")
    if f"@{SERVICE}:{PORT}/" not in found:
        msg = f"the ledger of {kubectl.context} is not the chart's own database; set $TIDEGATE_LEDGER_URL to reach it"
        raise Fault(msg)
    return found


def through(address: str, port: int) -> str:
    """The same database by a port of this machine."""
    return address.replace(f"@{SERVICE}:{PORT}/", f"@127.0.0.1:{port}/", 1)
