"""What Airflow loads: where the page is mounted, its place in the menu, and its tab beside a task instance.

Every process of Airflow loads plugins, tasks too, so the page behind it is imported by the first request only.
Addresses are relative to the UI's own base, wherever an ingress puts it.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

PREFIX = "/tidegate/ledger"
TASK = "task?pipeline={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"
"""The UI fills in the ids, encoded."""


class Lazy:
    """An ASGI application that is imported when it is first called."""

    def __init__(self, module: str) -> None:
        self._module = module

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Pass the request on."""
        module = await asyncio.to_thread(import_module, self._module)
        await module.app(scope, receive, send)


class TidegatePlugin(AirflowPlugin):
    """The page `Ledger`, below `Browse` and as a tab of every task instance."""

    name = "tidegate"
    fastapi_apps: list[Any] = [  # noqa: RUF012 - as Airflow declares it
        {"app": Lazy("tidegate.page.app"), "url_prefix": PREFIX, "name": "Tidegate's ledger"}
    ]
    external_views: list[Any] = [  # noqa: RUF012
        {
            "name": "Ledger",
            "href": f"{PREFIX[1:]}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "tidegate-ledger",
        },
        {
            "name": "Ledger",
            "href": f"{PREFIX[1:]}/{TASK}",
            "destination": "task_instance",
            "url_route": "tidegate-ledger-task",
        },
    ]
