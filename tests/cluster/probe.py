"""What can be seen and reached from inside a step's pod. Runs there, by `python -c`, with the standard library alone.

Reads: `$PARAM_TARGETS` (JSON: name -> [host, port]), `$PARAM_KUBERNETES`, `$PARAM_AIRFLOW`. Writes: `report.json` to
`$OUTPUT_FOLDER`. Names of variables are reported, never a value. Again: the same.
"""

import json
import os
import socket
import ssl
import struct
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SECONDS = 5
UNREACHABLE = "unreachable"
TOKENS = ("/var/run/secrets", "/run/secrets")


def files_below(*folders: str) -> list[str]:
    """Every file in folders where Kubernetes puts tokens."""
    return [str(path) for folder in folders for path in Path(folder).rglob("*") if path.is_file()]


def reach(host: str, port: int) -> bool:
    """Whether a connection is taken."""
    try:
        socket.create_connection((host, port), timeout=SECONDS).close()
    except OSError:
        return False
    return True


def ask(url: str) -> int | str:
    """The HTTP status that a call without credentials gets, or `unreachable`."""
    context = ssl._create_unverified_context()  # noqa: S323 - who answers does not matter, only what
    try:
        request = urllib.request.Request(url)  # noqa: S310
        with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return UNREACHABLE


def sign_in(host: str, port: int, user: str) -> str:
    """How PostgreSQL greets `user` who shows no password: `trusted`, `wants a password`, `refused` or `unreachable`."""
    words = b"".join(f"{key}\0{value}\0".encode() for key, value in (("user", user), ("database", user))) + b"\0"
    try:
        with socket.create_connection((host, port), timeout=SECONDS) as connection:
            connection.settimeout(SECONDS)
            connection.sendall(struct.pack("!ii", len(words) + 8, 3 << 16) + words)
            kind, _, code = struct.unpack("!cii", connection.recv(9))
    except (OSError, struct.error):
        return UNREACHABLE
    if kind == b"R":
        return "trusted" if code == 0 else "wants a password"
    return "refused"


def status(key: str) -> str:
    """A line of what the kernel says of this process."""
    lines = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    return lines[key]


def writable(folder: str) -> bool:
    """Whether a file can be made there."""
    path = Path(folder) / "probe"
    try:
        path.write_text("x")
        path.unlink()
    except OSError:
        return False
    return True


def main() -> None:
    """Look at everything at once: what does not answer costs its whole time."""
    targets, api = json.loads(os.environ["PARAM_TARGETS"]), os.environ["PARAM_KUBERNETES"]
    namespace, airflow = os.environ["PARAM_NAMESPACE"], os.environ["PARAM_AIRFLOW"]
    calls = {
        "secrets": f"{api}/api/v1/namespaces/{namespace}/secrets",
        "another_secret": f"{api}/api/v1/namespaces/{namespace}/secrets/step-fetch-weather",
        "pods": f"{api}/api/v1/namespaces/{namespace}/pods",
        "airflow_dags": f"{airflow}/api/v2/dags",
        "airflow_variables": f"{airflow}/api/v2/variables",
        "execution_api": f"{airflow}/execution/variables/x",
    }
    with ThreadPoolExecutor(32) as beside:
        reached = {name: beside.submit(reach, *where) for name, where in targets.items()}
        answers = {name: beside.submit(ask, url) for name, url in calls.items()}
        users = {user: beside.submit(sign_in, *targets["database"], user) for user in ("airflow", "ledger", "postgres")}
    report = {
        "reached": {name: found.result() for name, found in reached.items()},
        "answers": {name: found.result() for name, found in answers.items()},
        "database": {name: found.result() for name, found in users.items()},
        "variables": sorted(os.environ),
        "token_files": files_below(*TOKENS),
        "user": os.getuid(),
        "capabilities": [status(key) for key in ("CapEff", "CapPrm", "CapBnd")],
        "no_new_privileges": status("NoNewPrivs"),
        "seccomp": status("Seccomp"),
        "writable": [folder for folder in ("/", "/opt/tidegate", "/etc", "/tmp") if writable(folder)],  # noqa: S108
    }
    Path(os.environ["OUTPUT_FOLDER"], "report.json").write_text(json.dumps(report))


main()
