"""A real API server on loopback with a kubelet of processes: Kubernetes' own rules, without a container.

`etcd` and `kube-apiserver` are the project's own builds, which the cluster's node image needs as well.
"""

# ruff: noqa: S501

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

import httpx
import yaml
from kubernetes_asyncio.client import ApiClient, Configuration

from tests.ports import free_port
from tests.steps.kubelet import NAMESPACE, Kubelet
from tidegate.airflow.kube import Kube
from tidegate.cluster.programs import program

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "loopback-test-token"
START_SECONDS = 60
FEW_COLLECTIONS = "400"
"""Go's garbage collector has more work in the first seconds of these servers than in all that follow."""


class ControlPlane:
    """etcd, API server and kubelet; start it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scripts = folder / "scripts"
        self.scripts.mkdir(parents=True)
        self.kubeconfig = folder / "kubeconfig"
        self.port, self._etcd_port = free_port(), free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.kubelet = Kubelet(self)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def __enter__(self) -> ControlPlane:
        try:
            self._keys()
            self._start_etcd()
            self.start_api()
            self.kubeconfig.write_text(yaml.safe_dump(self._kubeconfig()))
            self.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
            self.kubelet.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kubelet.stop()
        for process in reversed(self._processes.values()):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def start_api(self) -> None:
        """Start the API server, again after `stop_api`."""
        keys = self.folder / "sa.key"
        self._spawn(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder / 'certs'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=AlwaysAllow",
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
            "--service-cluster-ip-range=10.96.0.0/24",
            "--service-account-issuer=https://loopback",
            f"--service-account-signing-key-file={keys}",
            f"--service-account-key-file={keys}",
        )
        self._wait(f"{self.url}/readyz", headers={"Authorization": f"Bearer {TOKEN}"})

    def stop_api(self) -> None:
        """Kill the API server."""
        process = self._processes.pop("kube-apiserver")
        process.kill()
        process.wait()

    def request(self, method: str, path: str, body: Any = None, *, kind: str = "application/json") -> dict[str, Any]:
        """One call as the administrator."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
        answer = httpx.request(
            method,
            f"{self.url}{path}",
            content=json.dumps(body) if body else None,
            headers=headers,
            verify=False,
            timeout=30,
        )
        if answer.status_code not in {200, 201, 202, 404, 409}:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return dict(answer.json())

    def pods(self) -> list[dict[str, Any]]:
        """Every pod."""
        return list(self.request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods")["items"])

    def configure(self, data: dict[str, Any]) -> None:
        """Write the ConfigMap of steps: values are objects."""
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        body = {"metadata": {"name": "tidegate-steps"}, "data": {key: json.dumps(value) for key, value in data.items()}}
        self.request("DELETE", f"{path}/tidegate-steps")
        self.request("POST", path, body)

    def script(self, name: str, code: str) -> dict[str, Any]:
        """Write what image `name` runs; return the step's settings."""
        (self.scripts / f"{name}.py").write_text(code)
        return {"image": f"local/{name}:0123456789ab", "resources": {"limits": {"memory": "256Mi"}}}

    async def connect(self, namespace: str = NAMESPACE) -> Kube:
        """A client of our own kind."""
        settings = Configuration(host=self.url)
        settings.verify_ssl = False
        settings.api_key["BearerToken"] = f"Bearer {TOKEN}"
        settings.connection_pool_maxsize = 0
        stack = contextlib.AsyncExitStack()
        api = await stack.enter_async_context(ApiClient(settings))
        return Kube(api, namespace=namespace, stack=stack)

    def _start_etcd(self) -> None:
        url, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{free_port()}"
        self._spawn(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )
        self._wait(f"{url}/health")

    def _spawn(self, name: str, *options: str) -> None:
        path = program(name)
        with (self.folder / f"{name}.log").open("ab") as log:
            environment = {**os.environ, "GOGC": FEW_COLLECTIONS}
            self._processes[name] = subprocess.Popen([path, *options], stdout=log, stderr=log, env=environment)

    def _wait(self, url: str, **options: Any) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url, verify=False, timeout=2, **options).status_code == 200:
                    return
            time.sleep(0.2)
        logs = {path.name: path.read_text()[-2000:] for path in self.folder.glob("*.log")}
        raise AssertionError(f"{url} did not answer within {START_SECONDS} s: {logs}")

    def _keys(self) -> None:
        subprocess.run(
            ["openssl", "genrsa", "-out", str(self.folder / "sa.key"), "2048"], check=True, capture_output=True
        )
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kubelet"),
                *("-keyout", str(self.folder / "kubelet.key"), "-out", str(self.folder / "kubelet.crt")),
            ],
            check=True,
            capture_output=True,
        )
        (self.folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")

    def _kubeconfig(self) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "loopback",
            "clusters": [{"name": "loopback", "cluster": {"server": self.url, "insecure-skip-tls-verify": True}}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
            "contexts": [{"name": "loopback", "context": {"cluster": "loopback", "user": "admin"}}],
        }
