"""Pods that are processes of this machine: the whole of `Pods` without a cluster, for tests and for people's DAGs.

A pod runs as the command that `commands` gives for its step, with the pod's own variables and nothing else but PATH.
Its log, its termination message (with the fall back to the last lines of the log), its exit code and its deletion by
SIGTERM are those of Kubernetes, as are a Secret made for it and the file that tells it of its stop; its image, its
resources and its other Secrets are not.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import os
import tempfile
import uuid
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.airflow.credentials import SECRET
from tidegate.airflow.identity import PREFIX
from tidegate.airflow.kube import Conflict, Gone, NotFound, Pod
from tidegate.airflow.notice import STOPPED, VARIABLE
from tidegate.airflow.pod import CONTAINER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

STEP = f"{PREFIX}step"
NODE = "this machine"
CLOSING_SECONDS = 5.0
MESSAGE_LIMIT = 4096
FALLBACK_LIMIT = 2048


class LocalPods:
    """See the module. Give it to `tidegate.airflow.testing.run_step`, or to a test of your own.

    Args:
        config: Data of the ConfigMap of steps.
        commands: Command of each step by name; a step without one waits for `settle`.
        environment: Variables that take the place of the step's Secret.
    """

    def __init__(
        self,
        *,
        config: Mapping[str, str],
        commands: Mapping[str, Sequence[str]] | None = None,
        environment: Mapping[str, str] | None = None,
        namespace: str = "tidegate-steps",
    ) -> None:
        self.namespace = namespace
        self.data, self.commands, self.environment = dict(config), dict(commands or {}), dict(environment or {})
        self.pods: dict[str, Pod] = {}
        self.secrets: dict[str, str] = {}
        self.made: dict[str, dict[str, str]] = {}
        """Secrets that were made for pods: key -> text, by name."""
        self.requests: list[str] = []
        self.most_alive = 0
        self._logs: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._history: list[tuple[str, Pod]] = []
        self._forgotten = 0
        self._news = asyncio.Condition()
        self._notices: dict[str, Path] = {}

    async def config(self, name: str) -> dict[str, str]:
        """See `Pods.config`."""
        self.requests.append(f"config {name}")
        return dict(self.data)

    async def secret_version(self, name: str) -> str:
        """See `Pods.secret_version`."""
        return self.secrets[name]

    async def create(self, pod: Pod) -> Pod:
        """See `Pods.create`; the process starts at once."""
        name = pod["metadata"]["name"]
        self.requests.append(f"create {name}")
        if name in self.pods:
            raise Conflict(409, "AlreadyExists", f"pods {name!r} already exists")
        made = copy.deepcopy(pod)
        made["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": _now()}
        made["status"] = {"phase": "Pending"}
        made.setdefault("spec", {})["nodeName"] = NODE
        self.pods[name] = made
        self.most_alive = max(self.most_alive, sum(p["status"]["phase"] in _ALIVE for p in self.pods.values()))
        await self._tell("ADDED", made)
        self._start(made)
        return copy.deepcopy(made)

    async def patch(self, name: str, change: dict[str, Any]) -> bool:
        """See `Pods.patch`; a pod whose last gate goes starts."""
        self.requests.append(f"patch {name}")
        if (pod := self.pods.get(name)) is None:
            return False
        gated = bool(pod["spec"].get("schedulingGates"))
        self.pods[name] = pod = _merged(pod, change)
        await self._tell("MODIFIED", pod)
        if name in self._notices and self._notices[name].exists():
            self._notices[name].write_text(pod["metadata"]["annotations"].get(STOPPED) or "")
        if gated:
            self._start(pod)
        return True

    async def create_secret(self, secret: dict[str, Any]) -> None:
        """See `Pods.create_secret`."""
        name = secret["metadata"]["name"]
        self.requests.append(f"make secret {name}")
        if name in self.made:
            raise Conflict(409, "AlreadyExists", f"secrets {name!r} already exists")
        self.made[name] = {key: base64.b64decode(text).decode() for key, text in secret["data"].items()}

    async def delete_secret(self, name: str) -> bool:
        """See `Pods.delete_secret`."""
        self.requests.append(f"remove secret {name}")
        return self.made.pop(name, None) is not None

    async def get(self, name: str) -> Pod | None:
        """See `Pods.get`."""
        return copy.deepcopy(self.pods.get(name))

    async def delete(self, name: str, *, uid: str = "", grace: int | None = None) -> bool:  # noqa: ARG002
        """See `Pods.delete`; SIGTERM to the process, gone when it has ended."""
        self.requests.append(f"delete {name}")
        pod = self.pods.get(name)
        if pod is None or (uid and pod["metadata"]["uid"] != uid):
            return False
        pod["metadata"]["deletionTimestamp"] = _now()
        await self._tell("MODIFIED", pod)
        process = self._processes.get(name)
        if process and process.returncode is None:
            process.terminate()
        else:
            await self._gone(name)
        return True

    async def select(self, selector: str) -> tuple[list[Pod], str]:
        """See `Pods.select`."""
        self.requests.append(f"list {selector}")
        wanted = dict(term.split("=", 1) for term in selector.split(","))
        found = [pod for pod in self.pods.values() if wanted.items() <= pod["metadata"]["labels"].items()]
        return copy.deepcopy(found), str(len(self._history))

    async def watch(self, selector: str, version: str) -> AsyncGenerator[tuple[str, Pod], None]:
        """See `Pods.watch`."""
        self.requests.append(f"watch {selector} from {version}")
        at = int(version)
        while True:
            if at < self._forgotten:
                raise Gone(410, "Expired", "too old resource version")
            async with self._news:
                await self._news.wait_for(lambda: len(self._history) > at)  # noqa: B023 - waited for at once
            kind, pod = self._history[at]
            at += 1
            yield kind, copy.deepcopy(pod)

    async def log(self, name: str, *, container: str, since: str | None, follow: bool) -> AsyncGenerator[bytes, None]:
        """See `Pods.log`; like a kubelet it takes `since` to the second."""
        self.requests.append(f"log {container} of {name}, follow={follow}")
        if name not in self.pods:
            raise NotFound(404, "NotFound", f"pods {name!r} not found")
        at = 0
        while True:
            lines = self._logs[name][at:]
            at += len(lines)
            for stamp, text in lines:
                if since is None or stamp[:19] >= since[:19]:
                    yield f"{stamp} {text}\n".encode()
            if not follow or self.pods.get(name, {"status": {"phase": "gone"}})["status"]["phase"] not in _ALIVE:
                return
            await asyncio.sleep(0.02)

    async def events(self, name: str) -> list[dict[str, Any]]:
        """See `Pods.events`: there are none."""
        del name
        return []

    async def close(self) -> None:
        """Stop every process, and wait for their ends."""
        for process in self._processes.values():
            if process.returncode is None:
                process.kill()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=CLOSING_SECONDS)

    async def settle(self, name: str, status: dict[str, Any]) -> None:
        """Give a pod a status, as a kubelet would: this is how a test makes an eviction or a missing image."""
        self.pods[name]["status"] = status
        await self._tell("MODIFIED", self.pods[name])

    async def print(self, name: str, *lines: str) -> None:
        """Add lines to a pod's log."""
        self._logs[name] += [(_now(), line) for line in lines]

    async def forget(self) -> None:
        """Drop the history: a watch from before gets 410."""
        self._forgotten = len(self._history) + 1
        self._history += [self._history[-1]] * 2
        async with self._news:
            self._news.notify_all()

    async def _process(self, name: str, command: Sequence[str]) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            message = Path(scratch) / "termination-log"
            message.touch()
            self._notices[name] = Path(scratch) / "stopped"
            self._notices[name].touch()
            process = await asyncio.create_subprocess_exec(
                *command,
                env=self._variables(self.pods[name], message),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            self._processes[name] = process
            start = _now()
            await self.settle(name, _status("Running", {"running": {"startedAt": start}}))
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            async for line in process.stdout:
                await self.print(name, line.decode(errors="replace").rstrip("\n"))
            code = await process.wait()
            await self._ended(name, code if code >= 0 else 128 - code, start=start, words=_words(message))

    async def _ended(self, name: str, code: int, *, start: str, words: str) -> None:
        if code and not words:
            words = "\n".join(text for _, text in self._logs[name])[-FALLBACK_LIMIT:]
        ended = {"exitCode": code, "startedAt": start, "finishedAt": _now(), "message": words[:MESSAGE_LIMIT]}
        ended["reason"] = "Error" if code else "Completed"
        await self.settle(name, _status("Failed" if code else "Succeeded", {"terminated": ended}))
        if "deletionTimestamp" in self.pods[name]["metadata"]:
            await self._gone(name)

    def _variables(self, pod: Pod, message: Path) -> dict[str, str]:
        given = pod["spec"]["containers"][0]["env"]
        own = {item["name"]: item["value"].replace("$$", "$") for item in given if "value" in item}
        for item in given:
            source = item.get("valueFrom", {}).get("secretKeyRef", {})
            if source.get("key") in self.made.get(source.get("name"), {}):
                own[item["name"]] = self.made[source["name"]][source["key"]]
        if VARIABLE in own:
            own[VARIABLE] = str(self._notices[pod["metadata"]["name"]])
        return {"PATH": os.environ.get("PATH", ""), **own, **self.environment, "TIDEGATE_RESULT": str(message)}

    def _start(self, pod: Pod) -> None:
        command = self.commands.get(pod["metadata"]["labels"].get(STEP, ""))
        if command and not pod["spec"].get("schedulingGates"):
            self._spawn(self._process(pod["metadata"]["name"], command))

    async def _gone(self, name: str) -> None:
        with suppress(KeyError):
            self._collect(self.pods[name])
            await self._tell("DELETED", self.pods.pop(name))

    def _collect(self, pod: Pod) -> None:
        """Remove the Secret that the pod owns, as Kubernetes does."""
        self.made.pop(pod["metadata"].get("annotations", {}).get(SECRET, ""), None)

    async def _tell(self, kind: str, pod: Pod) -> None:
        pod["metadata"]["resourceVersion"] = str(len(self._history) + 1)
        self._history.append((kind, copy.deepcopy(pod)))
        async with self._news:
            self._news.notify_all()

    def _spawn(self, work: Any) -> None:  # noqa: ANN401 - a coroutine
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_ALIVE = frozenset({"Pending", "Running"})


def _status(phase: str, state: dict[str, Any]) -> dict[str, Any]:
    return {"phase": phase, "containerStatuses": [{"name": CONTAINER, "state": state}]}


def _words(message: Path) -> str:
    """The termination message; a step that fails may have taken an earlier one away."""
    return message.read_text() if message.exists() else ""


def _merged(target: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """RFC 7386."""
    merged = {**target, **{key: value for key, value in change.items() if not isinstance(value, dict)}}
    for key, value in change.items():
        if isinstance(value, dict):
            merged[key] = _merged(merged.get(key) or {}, value)
    return {key: value for key, value in merged.items() if value is not None}


def _now() -> str:
    return datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
