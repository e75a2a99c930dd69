"""A kubelet of processes: it binds every pod and runs `<scripts>/<image name>.py` for it.

It reports what a kubelet reports: states, exit codes, termination messages, the log with timestamps, and deletion by
SIGTERM.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import ssl
import sys
import tempfile
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
from aiohttp import web

from tests.ports import free_port
from tidegate.airflow.kube import Kube, KubeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.steps.control_plane import ControlPlane

NAMESPACE = "tidegate-steps"
NODE = "processes"


class Kubelet:
    """Runs every pod as a process of this machine; lives in a thread with an event loop of its own."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._port = free_port()
        self._logs: dict[str, list[tuple[str, str]]] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.most: Counter[str] = Counter()
        """By DAG, how many of its pods ran at once at most."""
        self._dags: dict[str, str] = {}
        self._kube: Kube | None = None
        self._server: web.AppRunner | None = None
        self.hold = False
        """While True, new pods stay pending."""
        self.status: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda _pod: None
        """Gives a pod a status instead of running it, where it returns one."""

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result(30)

    def stop(self) -> None:
        async def end() -> None:
            for process in self._processes.values():
                if process.returncode is None:
                    process.kill()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            if self._server:
                await self._server.cleanup()
            if self._kube:
                await self._kube.close()
            await asyncio.sleep(0.3)  # TLS connections of aiohttp close a moment later

        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(end(), self._loop).result(30)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    def alive(self) -> list[str]:
        """Names of pods whose process runs."""
        return [name for name, process in self._processes.items() if process.returncode is None]

    async def _begin(self) -> None:
        self._kube = await self._plane.connect()
        await self._serve_logs()
        node = {
            "metadata": {"name": NODE},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }
        self._plane.request("POST", "/api/v1/nodes", node)
        self._spawn(self._watch())

    async def _watch(self) -> None:
        assert self._kube
        selector = "app.kubernetes.io/managed-by=tidegate"
        while True:
            try:
                pods, version = await self._kube.select(selector)
                for pod in pods:
                    self._see(pod)
                async for kind, pod in self._kube.watch(selector, version):
                    if kind in {"ADDED", "MODIFIED"}:
                        self._see(pod)
            except (KubeError, aiohttp.ClientError, OSError, ValueError) as fault:
                print("kubelet:", fault, file=sys.stderr)  # noqa: T201
                await asyncio.sleep(0.5)

    def _see(self, pod: dict[str, Any]) -> None:
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        key = f"{name}/{uid}"
        if pod["metadata"].get("deletionTimestamp"):
            process = self._processes.get(name)
            if process is None or process.returncode is not None:
                self._spawn(self._remove(name))
            else:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
        elif key not in self._logs and not self.hold and not pod["spec"].get("schedulingGates"):
            self._logs[key] = self._logs[name] = []
            self._spawn(self._run(pod))

    async def _run(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        base = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}"
        binding = {"metadata": {"name": name}, "target": {"kind": "Node", "name": NODE}}
        await asyncio.to_thread(self._plane.request, "POST", f"{base}/binding", binding)
        if status := self.status(pod):
            await self._settle(name, status)
            return
        with tempfile.TemporaryDirectory() as scratch:
            message = Path(scratch) / "message"
            message.touch()
            given = pod["spec"]["containers"][0]
            variables = await asyncio.to_thread(self._variables, given.get("env", []))
            script = given["image"].rpartition("/")[2].partition(":")[0]
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-u",
                str(self._plane.scripts / f"{script}.py"),
                env={**variables, "PATH": os.environ["PATH"], "TIDEGATE_RESULT": str(message)},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            self._processes[name] = process
            self._count(name, pod["metadata"]["labels"].get("tidegate.dev/dag", ""))
            start = _now()[:19] + "Z"
            await self._settle(name, _status("Running", {"running": {"startedAt": start}}))
            assert process.stdout
            async for line in process.stdout:
                self._logs[name].append((_now(), line.decode().rstrip("\n")))
            code = await process.wait()
            code = code if code >= 0 else 128 - code
            words = message.read_text() or ("\n".join(text for _, text in self._logs[name])[-2048:] if code else "")
            ended = {"exitCode": code, "reason": "Error" if code else "Completed", "message": words[:4096]}
            ended |= {"startedAt": start, "finishedAt": _now()[:19] + "Z"}
            await self._settle(name, _status("Failed" if code else "Succeeded", {"terminated": ended}))
            now = await asyncio.to_thread(self._plane.request, "GET", base)
            if now.get("metadata", {}).get("deletionTimestamp"):
                await self._remove(name)

    def _variables(self, given: list[dict[str, Any]]) -> dict[str, str]:
        """Plain ones, and those of Secrets as the API server has them."""
        found = {item["name"]: item["value"].replace("$$", "$") for item in given if "value" in item}
        for item in given:
            if source := item.get("valueFrom", {}).get("secretKeyRef"):
                path = f"/api/v1/namespaces/{NAMESPACE}/secrets/{source['name']}"
                data = self._plane.request("GET", path)["data"]
                found[item["name"]] = base64.b64decode(data[source["key"]]).decode()
        return found

    def _secrets(self, env: list[dict[str, Any]]) -> dict[str, str]:
        """The variables that are keys of Secrets."""
        found = {}
        for item in env:
            if ref := item.get("valueFrom", {}).get("secretKeyRef"):
                secret = self._plane.request("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/{ref['name']}")
                found[item["name"]] = base64.b64decode(secret["data"][ref["key"]]).decode()
        return found

    def _count(self, name: str, dag: str) -> None:
        self._dags[name] = dag
        self.most[dag] = max(self.most[dag], sum(self._dags.get(other) == dag for other in self.alive()))

    async def _settle(self, name: str, status: dict[str, Any]) -> None:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/status"
        kind = "application/merge-patch+json"
        for _ in range(60):
            with contextlib.suppress(httpx.HTTPError):
                await asyncio.to_thread(self._plane.request, "PATCH", path, {"status": status}, kind=kind)
                return
            await asyncio.sleep(0.5)

    async def _remove(self, name: str) -> None:
        body = {"gracePeriodSeconds": 0}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}"
        await asyncio.to_thread(self._plane.request, "DELETE", path, body)

    async def _serve_logs(self) -> None:
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._log)
        runner = self._server = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._plane.folder / "kubelet.crt", self._plane.folder / "kubelet.key")
        await web.TCPSite(runner, "127.0.0.1", self._port, ssl_context=context).start()

    async def _log(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["pod"]
        since = request.query.get("sinceTime", "")[:19]
        follow = request.query.get("follow") == "true"
        answer = web.StreamResponse()
        await answer.prepare(request)
        at = 0
        while True:
            process = self._processes.get(name)
            over = process is not None and process.returncode is not None
            lines = self._logs.get(name, [])[at:]
            at += len(lines)
            for stamp, text in lines:
                if stamp[:19] >= since:
                    await answer.write(f"{stamp} {text}\n".encode())
            if over or not follow:
                return answer
            await asyncio.sleep(0.05)

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _status(phase: str, state: dict[str, Any]) -> dict[str, Any]:
    container = {"name": "base", "image": "local", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    return {"phase": phase, "containerStatuses": [container]}


def _now() -> str:
    return datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
