"""The order of things in `call_service`: find the service, call it, look at the answer, keep it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 (the settings are read by their types)
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from jobs.call_service import service as services
from tidegate.step import (
    AccessDenied,
    BadInput,
    BadSettings,
    Exists,
    NoBucket,
    NotFound,
    Output,
    Prefix,
    Result,
    Run,
    Secrets,
    StepError,
    Store,
    param,
    publish,
    publish_changed,
    secrets,
    setting,
)
from tidegate.step.web import call, is_json, public

if TYPE_CHECKING:
    from tidegate.step.exchange import Reply

REFUSED = (401, 403)
TIMES = re.compile(r"%(?![YmdHM])")
"""Anything but the parts of a date that a name may have."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What call_service can be told."""

    service: str = param(at_least=1)
    """Whom to call: a name in `services` of the chart's values."""
    body: dict[str, Any] = param({})
    """What is sent, as JSON."""
    file: str = param("reply.json", at_least=1, at_most=500)
    """Name of the answer under the output; %Y %m %d %H %M in it are those of the run's logical date in UTC."""
    existing: str = param("replace", choices=("replace", "keep"))
    """What happens when the answer is there already: replace calls again, keep leaves it and calls nobody."""
    services: dict[str, Any] = setting("TIDEGATE_SERVICES", {})
    """The services there are: name -> url, method, auth, key_in, key_name, reply, timeout, max_bytes, tries."""
    keys: Secrets = secrets("SERVICE_")
    """Their tokens and keys."""
    logical_date: datetime
    """Whose date the name may have."""
    run: Run
    """Tells a service which calls are one and the same."""
    output: Prefix
    """Where the answer goes."""


def run(settings: Settings, store: Store) -> Result:
    """Call and keep."""
    wanted = services.named(settings.service, settings.services)
    url = settings.output / _name(settings)
    keep = settings.existing == "keep"
    if keep and (kept := _kept(store, url)):
        return _result(wanted, kept, note="was there already")
    body = _answer(wanted, settings)
    try:
        output = _publish(store, url, body, keep=keep)
    except Exists:
        there = _kept(store, url)
        if there is None:
            raise
        return _result(wanted, there, note="was written by another run")
    return _result(wanted, output, note="kept")


def _name(settings: Settings) -> str:
    if TIMES.search(settings.file):
        raise BadSettings(f"$TIDEGATE_PARAMS.file is {settings.file!r}; the only dates are %Y %m %d %H %M")
    name = settings.logical_date.strftime(settings.file)
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise BadSettings(f"$TIDEGATE_PARAMS.file is {settings.file!r}; want a name under the output, like a/b.json")
    return name


def _answer(service: services.Service, settings: Settings) -> bytes:
    """The body of the service's answer; refused unless it is what was promised."""
    sent = json.dumps(settings.body, ensure_ascii=False).encode()
    if service.method in ("GET", "DELETE"):
        if settings.body:
            raise BadInput(f"a {service.method} sends no body; set services.{service.name}.method to POST, or no body")
        sent = b""
    run = settings.run
    token = "/".join([run.dag_id, run.run_id, run.task_id, str(run.map_index)])
    request = service.call(sent, settings.keys, token=sha256(token.encode()).hexdigest())
    reply = call(request, service.limits)
    _refuse_unless_good(service, reply)
    return reply.body


def _refuse_unless_good(service: services.Service, reply: Reply) -> None:
    where = f"{service.name} ({service.method} {public(service.url)})"
    if reply.status in REFUSED:
        advice = f"correct ${service.variable} in the step's Secret" if service.variable else "set its auth"
        raise AccessDenied(f"{where} refused us: {reply.status} {reply.reason}; {advice}")
    if not reply.ok:
        raise BadInput(f"{where} said {reply.status} {reply.reason}: {_start(reply.body)}")
    promised = service.reply == "json" or "json" in reply.header("Content-Type").lower()
    if promised and not is_json(reply.body):
        kind = reply.header("Content-Type") or "no type"
        raise StepError(f"{where} promised JSON and sent {len(reply.body)} bytes ({kind}): {_start(reply.body)}")


def _start(body: bytes) -> str:
    return repr(body[:80].decode(errors="replace"))


def _publish(store: Store, url: Prefix, body: bytes, *, keep: bool) -> Output:
    if keep:
        return publish(store, "reply", url, body, create_once=True)
    return publish_changed(store, "reply", url, body)


def _kept(store: Store, url: Prefix) -> Output | None:
    """The answer that is there, if there is one."""
    try:
        with store.open(url) as stream:
            body = stream.read()
            digest = sha256(body).hexdigest()
            return Output(name="reply", url=url, size=len(body), sha256=digest, etag=stream.stat.etag)
    except NoBucket:
        raise
    except NotFound:
        return None


def _result(service: services.Service, output: Output, *, note: str) -> Result:
    return Result(
        outputs=(output,),
        metrics={"bytes": output.size},
        summary=f"{output.size} bytes of {service.name}, {note}: {output.url}",
    )
