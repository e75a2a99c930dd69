"""What Airflow loads: where the page is mounted, its place in the menu, and tab and links of a step's task instance.

Every process of Airflow loads plugins, tasks too, so the page behind it is imported by the first request only.
Addresses are relative to the UI's own base, wherever an ingress puts it.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseOperatorLink

from tidegate.page import PREFIX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from airflow.sdk.types import TaskInstanceKey

MAP_INDEX = "{MAP_INDEX}"
TASK = f"task?pipeline={{DAG_ID}}&run_id={{RUN_ID}}&task_id={{TASK_ID}}&map_index={MAP_INDEX}"
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


OPERATORS: list[Any] = [SimpleNamespace(__name__="StepOperator", __module__="tidegate.airflow.step_operator")]
"""Airflow compares these two names only; the operator itself takes a second to import."""


class TriesLink(BaseOperatorLink):
    """What the ledger has of a step: its row with the pod, the node and the command that prints the pod's log."""

    name = "Tries in the ledger"
    operators = OPERATORS

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ANN401, ARG002 - a serialized operator
        """See BaseOperatorLink; Airflow has asked whether the reader may see the DAG."""
        from tidegate.page.links import tries_url  # noqa: PLC0415 - see the module

        return tries_url(ti_key)


class PodLink(BaseOperatorLink):
    """The try's pod in the dashboard that `AIRFLOW__TIDEGATE__POD_URL` names; disabled without one, and after a hit."""

    name = "Pod"
    operators = OPERATORS

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ANN401, ARG002 - as above
        """See BaseOperatorLink."""
        from tidegate.page.links import pod_url  # noqa: PLC0415 - see the module

        return pod_url(ti_key)


class TidegatePlugin(AirflowPlugin):
    """The page `Ledger`, below `Browse` and as a tab of every task instance; links of steps."""

    name = "tidegate"
    fastapi_apps: list[Any] = [  # noqa: RUF012 - as Airflow declares it
        {"app": Lazy("tidegate.page.app"), "url_prefix": PREFIX, "name": "Tidegate's ledger"}
    ]
    operator_extra_links: list[Any] = [TriesLink(), PodLink()]  # noqa: RUF012
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
