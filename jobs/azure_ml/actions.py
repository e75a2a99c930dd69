"""What can be done, and what each action wants to be told. Pure."""

from __future__ import annotations

from dataclasses import dataclass

SPEC = ("spec", "set", "files")
WAIT = ("queue_timeout", "run_timeout")
ONLINE, BATCH = "online", "batch"


@dataclass(frozen=True, kw_only=True)
class Action:
    """One action: the parameters it cannot do without, those it can, and what it is for."""

    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    about: str


ACTIONS = {
    "ping": Action(about="sign in and look at the workspace"),
    "job submit": Action(
        needs=("spec",),
        may=(*SPEC, "waiting", *WAIT, "again", "download"),
        about="submit a job once for each run, and wait for it",
    ),
    "job wait": Action(may=("name", *WAIT, "download"), about="wait for a job: a named one, or this run's own"),
    "job cancel": Action(may=("name", "waiting"), about="cancel a job: a named one, or those of this run that go on"),
    "compute ensure": Action(needs=("spec",), may=(*SPEC, "waiting"), about="make a cluster or instance if need be"),
    "compute delete": Action(needs=("name",), may=("missing_ok", "waiting"), about="delete a cluster or instance"),
    "compute start": Action(needs=("name",), may=("waiting",), about="start a compute instance"),
    "compute stop": Action(needs=("name",), may=("waiting",), about="stop a compute instance"),
    "environment": Action(needs=("spec",), may=SPEC, about="register an environment"),
    "data": Action(needs=("spec",), may=SPEC, about="register a data asset, with its local files"),
    "model": Action(needs=("spec",), may=SPEC, about="register a model, local or of a job's outputs"),
    "component": Action(needs=("spec",), may=SPEC, about="register a component unless its version is there"),
    "endpoint ensure": Action(
        needs=("spec",), may=(*SPEC, "endpoint_type", "waiting"), about="make an endpoint if need be"
    ),
    "endpoint delete": Action(
        needs=("name", "endpoint_type"), may=("missing_ok", "waiting"), about="delete an endpoint"
    ),
    "endpoint invoke": Action(
        needs=("name", "endpoint_type"),
        may=("deployment", "request", "request_input", "waiting", *WAIT, "again"),
        about="ask an online endpoint, or start a batch endpoint's job once for each run",
    ),
    "deploy": Action(
        needs=("spec",),
        may=(*SPEC, "endpoint_type", "traffic", "default", "waiting"),
        about="make or update a deployment, and send traffic to it",
    ),
}

OF_ACTIONS = tuple(dict.fromkeys(name for action in ACTIONS.values() for name in (*action.needs, *action.may)))
"""Every parameter that some action has."""


def faults(action: str, given: set[str]) -> list[str]:
    """What is missing, and what the action does not have, of the parameters that differ from their defaults."""
    known = ACTIONS[action]
    allowed = {*known.needs, *known.may}
    wanted = ", ".join(sorted(allowed)) or "none"
    lines = [f"$TIDEGATE_PARAMS.{name} is not set; `{action}` wants it" for name in known.needs if name not in given]
    extra = sorted(given - allowed)
    return lines + [f"$TIDEGATE_PARAMS.{name} is not of `{action}`, which has {wanted}" for name in extra]
