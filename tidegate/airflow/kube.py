"""The few things Tidegate asks of Kubernetes, as plain JSON, over one pooled client.

Reads: pods, their logs and events, ConfigMaps of one namespace. Writes: pods of that namespace, and Secrets that
belong to one of them; it reads no Secret's content.
Again: reads, deletes and creates are repeated while the API server is away or says "too many requests"; a create
that was repeated ends in `Conflict`, which the caller takes as "find it".

Objects stay dictionaries: turning them into the client's model classes costs more CPU than everything else here.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
from kubernetes_asyncio.client import ApiClient, ApiException

from tidegate.airflow.kube_errors import AGAIN, Conflict, Forbidden, Gone, KubeError, NotFound, error_of
from tidegate.airflow.kube_settings import configuration

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

__all__ = ["Conflict", "Forbidden", "Gone", "Kube", "KubeError", "NotFound", "Pod", "Pods", "error_of"]

Pod = dict[str, Any]
"""One pod as the API server's JSON."""

PATIENCE = 300.0
"""Seconds a request is repeated while the API server cannot be reached: longer than a control plane's restart."""

_REQUEST = aiohttp.ClientTimeout(total=30, sock_connect=10)
_WATCH_SECONDS = 270
_WATCH = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=300)
_LOG = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=300)


def _hang_up(answer: aiohttp.ClientResponse) -> None:
    """End a stream at once: a TLS goodbye would wait for the server's, and a loop that stops would leak the socket."""
    if answer.connection and answer.connection.transport:
        answer.connection.transport.abort()
    answer.close()


class Pods(Protocol):
    """What a step needs of a cluster; `Kube` is the real one, `tidegate.airflow.testing` has one of processes."""

    namespace: str

    async def config(self, name: str) -> dict[str, str]:
        """Return the data of ConfigMap `name`."""

    async def secret_version(self, name: str) -> str:
        """Return the resourceVersion of a Secret; its content is not kept."""

    async def create(self, pod: Pod) -> Pod:
        """Create the pod, or raise `Conflict` where one of that name exists."""

    async def get(self, name: str) -> Pod | None:
        """Return the pod, or None."""

    async def delete(self, name: str, *, uid: str = "", grace: int | None = None) -> bool:
        """Ask for the pod's end; False where no pod of that name (and uid) exists."""

    async def patch(self, name: str, change: dict[str, Any]) -> bool:
        """Merge `change` into the pod (RFC 7386); False where there is none."""

    async def create_secret(self, secret: dict[str, Any]) -> None:
        """Create the Secret, or raise `Conflict` where one of that name exists."""

    async def delete_secret(self, name: str) -> bool:
        """Delete the Secret; False where there is none."""

    async def select(self, selector: str) -> tuple[list[Pod], str]:
        """Return the pods with these labels and the resourceVersion of the list."""

    def watch(self, selector: str, version: str) -> AsyncIterator[tuple[str, Pod]]:
        """Yield (ADDED, MODIFIED, DELETED or BOOKMARK, object) from `version` on, until the server ends it."""

    def log(self, name: str, *, container: str, since: str | None, follow: bool) -> AsyncIterator[bytes]:
        """Yield chunks of the log with timestamps, from `since` (RFC 3339) on."""

    async def events(self, name: str) -> list[dict[str, Any]]:
        """Return the Kubernetes events about the pod, oldest first."""

    async def close(self) -> None:
        """Close every connection."""


class Kube:
    """`Pods` on a real API server. Make one with `connect`, one per process, and close it."""

    def __init__(self, api: ApiClient, *, namespace: str, stack: AsyncExitStack | None = None) -> None:
        self.namespace = namespace
        self._api = api
        self._stack = stack or AsyncExitStack()

    @classmethod
    async def connect(cls, namespace: str, *, connection: str | None = None) -> Kube:
        """Open a client: the service account inside a cluster, `$KUBECONFIG` outside, or an Airflow connection."""
        stack = AsyncExitStack()
        if connection:
            from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook  # noqa: PLC0415

            hook = AsyncKubernetesHook(conn_id=connection)
            api = await stack.enter_async_context(hook.get_conn())
        else:
            api = await stack.enter_async_context(ApiClient(await configuration()))
        return cls(api, namespace=namespace, stack=stack)

    async def close(self) -> None:
        """Close the pool. Streams that are open end with an error."""
        await self._stack.aclose()
        await asyncio.sleep(0.25)  # aiohttp closes TLS connections a moment later; a loop that stops would leak them

    async def config(self, name: str) -> dict[str, str]:
        """See `Pods.config`."""
        answer = await self._json("GET", f"/api/v1/namespaces/{self.namespace}/configmaps/{name}")
        return dict(answer.get("data") or {})

    async def secret_version(self, name: str) -> str:
        """See `Pods.secret_version`; needs the right to get this one Secret."""
        answer = await self._json("GET", f"/api/v1/namespaces/{self.namespace}/secrets/{name}")
        return str(answer["metadata"]["resourceVersion"])

    async def create(self, pod: Pod) -> Pod:
        """See `Pods.create`."""
        return await self._json("POST", self._path(), body=pod)

    async def get(self, name: str) -> Pod | None:
        """See `Pods.get`."""
        try:
            return await self._json("GET", self._path(name))
        except NotFound:
            return None

    async def delete(self, name: str, *, uid: str = "", grace: int | None = None) -> bool:
        """See `Pods.delete`. With a uid, a pod of the same name that was made later is left alone."""
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        return await self._there("DELETE", self._path(name), body=options)

    async def patch(self, name: str, change: dict[str, Any]) -> bool:
        """See `Pods.patch`."""
        return await self._there("PATCH", self._path(name), body=change)

    async def create_secret(self, secret: dict[str, Any]) -> None:
        """See `Pods.create_secret`."""
        await self._json("POST", self._path(kind="secrets"), body=secret)

    async def delete_secret(self, name: str) -> bool:
        """See `Pods.delete_secret`."""
        return await self._there("DELETE", self._path(name, kind="secrets"))

    async def select(self, selector: str) -> tuple[list[Pod], str]:
        """See `Pods.select`; read in pages of 500."""
        pods: list[Pod] = []
        query = [("labelSelector", selector), ("limit", "500")]
        token = ""
        while True:
            page = await self._json("GET", self._path(), query=[*query, ("continue", token)] if token else query)
            pods += page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return pods, page["metadata"]["resourceVersion"]

    async def watch(self, selector: str, version: str) -> AsyncGenerator[tuple[str, Pod], None]:
        """See `Pods.watch`. Raises `Gone` when `version` is too old."""
        query = [
            ("watch", "true"),
            ("labelSelector", selector),
            ("resourceVersion", version),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(_WATCH_SECONDS)),
        ]
        async with self._stream(self._path(), query, _WATCH) as answer:
            while line := await answer.content.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise error_of(int(event["object"].get("code", 500)), json.dumps(event["object"]))
                yield event["type"], event["object"]

    async def log(self, name: str, *, container: str, since: str | None, follow: bool) -> AsyncGenerator[bytes, None]:
        """See `Pods.log`."""
        query = [("container", container), ("timestamps", "true")]
        if follow:
            query.append(("follow", "true"))
        if since:
            query.append(("sinceTime", since))
        async with self._stream(f"{self._path(name)}/log", query, _LOG) as answer:
            async for chunk in answer.content.iter_any():
                yield chunk

    async def events(self, name: str) -> list[dict[str, Any]]:
        """See `Pods.events`."""
        query = [("fieldSelector", f"involvedObject.name={name},involvedObject.kind=Pod")]
        try:
            answer = await self._json("GET", f"/api/v1/namespaces/{self.namespace}/events", query=query)
        except Forbidden:
            return []
        return sorted(answer["items"], key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime")))

    def _path(self, name: str = "", *, kind: str = "pods") -> str:
        return f"/api/v1/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    async def _there(self, method: str, path: str, *, body: dict[str, Any] | None = None) -> bool:
        """One request about something that may be gone."""
        try:
            await self._json(method, path, body=body)
        except (NotFound, Conflict):
            return False
        return True

    async def _json(
        self, method: str, path: str, *, body: dict[str, Any] | None = None, query: list[tuple[str, str]] | None = None
    ) -> dict[str, Any]:
        """One request, repeated with growing pauses while nobody answers, at most `PATIENCE` seconds."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        pause = 0.2
        while True:
            try:
                return await self._once(method, path, body=body, query=query)
            except (aiohttp.ClientError, TimeoutError, ConnectionError, KubeError) as fault:
                late = asyncio.get_running_loop().time() + pause > deadline
                if late or (isinstance(fault, KubeError) and fault.status not in AGAIN):
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, 10.0)

    async def _once(
        self, method: str, path: str, *, body: dict[str, Any] | None, query: list[tuple[str, str]] | None
    ) -> dict[str, Any]:
        answer = await self._call(method, path, query=query, body=body, timeout=_REQUEST)
        async with answer:
            content = await answer.read()
            if answer.status >= 300:  # noqa: PLR2004
                raise error_of(answer.status, content)
        return json.loads(content) if content else {}

    @asynccontextmanager
    async def _stream(
        self,
        path: str,
        query: list[tuple[str, str]],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        answer = await self._call("GET", path, query=query, body=None, timeout=timeout)
        try:
            if answer.status >= 300:  # noqa: PLR2004
                raise error_of(answer.status, await answer.read())
            yield answer
        finally:
            _hang_up(answer)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: list[tuple[str, str]] | None,
        body: dict[str, Any] | None,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> aiohttp.ClientResponse:
        """Send one request through the client's own login and pool, and return the answer unread."""
        content = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            return await self._api.call_api(  # type: ignore[no-any-return]
                path,
                method,
                query_params=list(query or ()),
                header_params={"Accept": "application/json, */*", "Content-Type": content},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=timeout,
            )
        except ApiException as fault:
            raise error_of(fault.status or 500, fault.body or str(fault.reason)) from fault
