"""A small Kubernetes API on 127.0.0.1: the real clients, hook and trigger are run against something that answers.

It knows one namespace's pods, their logs and ConfigMaps. What becomes of a pod is a script: the statuses that one look
after another shows, the last one for ever. Time does not matter to it, only looks do.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PATH = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/(?P<kind>\w+)(?:/(?P<name>[^/]+)(?P<log>/log)?)?")

Json = dict[str, Any]


def waiting(reason: str, message: str = "") -> Json:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [container(state)], "conditions": [scheduled("True")]}


def unschedulable(message: str) -> Json:
    return {"phase": "Pending", "conditions": [scheduled("False", message)]}


def scheduled(status: str, message: str = "") -> Json:
    return {"type": "PodScheduled", "status": status, "message": message}


def running() -> Json:
    return {"phase": "Running", "containerStatuses": [container({"running": {"startedAt": "2026-01-01T00:00:00Z"}})]}


def ended(code: int, message: str = "", *, reason: str = "") -> Json:
    terminated = {"exitCode": code, "reason": reason or ("Error" if code else "Completed"), "message": message}
    phase = "Failed" if code else "Succeeded"
    return {"phase": phase, "containerStatuses": [container({"terminated": terminated})]}


def taken_away(reason: str, message: str, code: int = 137) -> Json:
    return {**ended(code), "phase": "Failed", "reason": reason, "message": message}


def container(state: Json) -> Json:
    started = "waiting" not in state
    return {"name": "base", "state": state, "image": "x", "imageID": "x", "ready": False, "restartCount": 0} | (
        {"started": started}
    )


class KubernetesApi:
    """The server; `pods`, `config_maps` and `requests` may be looked at."""

    def __init__(self) -> None:
        self.pods: dict[str, Json] = {}
        self.config_maps: dict[str, dict[str, str]] = {}
        self.scripts: dict[str, list[Json]] = {}
        """Step -> what its pods go through; `{}` in it is a pod that somebody deleted."""
        self.refusals: list[tuple[int, str]] = []
        """Answers to the next pods that are made, instead of making them."""
        self.outages: list[int] = []
        """Answers to the next requests, whatever they are, instead of what was asked for; 0 lets one through."""
        self.logs: dict[str, str] = {}
        self.slow_to_go = 0
        """So many looks does a deleted pod take to be gone."""
        self.requests: list[tuple[str, str]] = []
        self._clock = itertools.count()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def made(self) -> list[Json]:
        """The pods there are, oldest first."""
        return sorted(self.pods.values(), key=lambda pod: pod["metadata"]["creationTimestamp"])

    def add(self, pod: Json, status: Json) -> None:
        """A pod that somebody else made."""
        self.pods[pod["metadata"]["name"]] = self._born(pod) | {"_script": [status], "status": status}

    def answer(self, method: str, target: str, body: Json) -> tuple[int, Any]:
        """Status and body for one request."""
        url = urlsplit(target)
        found = PATH.fullmatch(url.path)
        with self._lock:
            self.requests.append((method, target))
            if self.outages and (outage := self.outages.pop(0)):
                return self._fault(outage, "starting")
            if not found:
                return self._fault(404, f"no such path {url.path}")
            if found["kind"] == "pods":
                selector = parse_qs(url.query).get("labelSelector", [""])[0]
                return self._pods(method, found["name"], selector, body, log=bool(found["log"]))
            data = self.config_maps.get(found["name"], {})
            return 200, {"metadata": {"name": found["name"]}, "data": data, "items": []}

    def _pods(self, method: str, name: str | None, selector: str, body: Json, *, log: bool) -> tuple[int, Any]:
        if method == "POST":
            return self._create(body)
        if not name:
            return 200, self._list(selector)
        return self._one(method, name, body, log=log)

    def _create(self, pod: Json) -> tuple[int, Any]:
        if self.refusals:
            return self._fault(*self.refusals.pop(0))
        name = pod["metadata"]["name"]
        if name in self.pods:
            return self._fault(409, f'pods "{name}" already exists')
        script = copy.deepcopy(self.scripts.get(pod["metadata"]["labels"]["tidegate.dev/step"], [ended(0)]))
        self.pods[name] = self._born(pod) | {"_script": script, "status": {"phase": "Pending"}}
        return 201, self._shown(self.pods[name])

    def _born(self, pod: Json) -> Json:
        created = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(self._clock))
        stamped = {**pod["metadata"], "creationTimestamp": created.isoformat().replace("+00:00", "Z")}
        return {**copy.deepcopy(pod), "metadata": copy.deepcopy(stamped)}

    def _list(self, selector: str) -> Json:
        wanted = dict(part.split("=") for part in selector.split(",") if part)
        chosen = [pod for pod in self.made() if wanted.items() <= pod["metadata"]["labels"].items()]
        return {"kind": "PodList", "metadata": {}, "items": [self._shown(pod) for pod in chosen]}

    def _one(self, method: str, name: str, body: Json, *, log: bool) -> tuple[int, Any]:
        pod = self.pods.get(name)
        if pod is None:
            return self._fault(404, f'pods "{name}" not found')
        if log:
            return 200, self.logs.get(name, "")
        if method == "DELETE":
            pod["metadata"]["deletionTimestamp"] = "2026-01-01T01:00:00Z"
            pod["_looks_left"] = self.slow_to_go
        if method == "PATCH":
            pod["metadata"]["labels"].update(body["metadata"]["labels"])
        if method == "GET":
            self._go_on(pod)
        if self._is_gone(pod):
            del self.pods[name]
            return (200, {"status": "Success"}) if method == "DELETE" else self._fault(404, f'pods "{name}" not found')
        return 200, self._shown(pod)

    @staticmethod
    def _go_on(pod: Json) -> None:
        script = pod["_script"]
        pod["status"] = script.pop(0) if len(script) > 1 else script[0]
        if "_looks_left" in pod:
            pod["_looks_left"] -= 1

    @staticmethod
    def _is_gone(pod: Json) -> bool:
        return pod.get("_looks_left", 1) <= 0 or pod["status"] == {}

    @staticmethod
    def _shown(pod: Json) -> Json:
        return {key: value for key, value in pod.items() if not key.startswith("_")}

    @staticmethod
    def _fault(code: int, message: str) -> tuple[int, Json]:
        return code, {"kind": "Status", "status": "Failure", "code": code, "message": message}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else {}
                code, content = api.answer(self.command, self.path, body)
                payload = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                self.send_response(code)
                self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names http.server wants

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
                """Nothing: the tests look at `requests`."""

        return Handler
