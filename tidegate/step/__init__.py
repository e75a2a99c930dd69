"""What a step's code has of Tidegate: settings, secrets, stores, a result, and the errors it may end with.

Contract, for every language: in come the variables TIDEGATE_PARAMS, TIDEGATE_INPUTS, TIDEGATE_OUTPUT, TIDEGATE_RUN and
secrets under their own names; out go objects under the output and, last and in one write, a result to the file that
TIDEGATE_RESULT names. Exit codes: 0 done, 2 bad settings or input, 75 try again later, anything else failed.

In Python that is a module with a frozen dataclass `Settings` and `run(settings, store) -> Result`; `main` is its edge.
Importing this needs the standard library alone; store clients are imported when they are used.
"""

from __future__ import annotations

from tidegate.step.errors import (
    AccessDenied,
    BadInput,
    BadSettings,
    Changed,
    Exists,
    NoBucket,
    NotFound,
    StepError,
    Stopped,
    TryAgain,
)
from tidegate.step.result import Output, Result
from tidegate.step.runner import main
from tidegate.step.secret import Secret, Secrets
from tidegate.step.settings import Run, param, secret, secrets, setting
from tidegate.step.stores import Body, Data, Stat, Store, Stores, store_for
from tidegate.step.stores.reading import Hashing, publish, publish_changed, publish_once, sha256_of
from tidegate.step.urls import Input, Prefix

__all__ = [
    "AccessDenied",
    "BadInput",
    "BadSettings",
    "Body",
    "Changed",
    "Data",
    "Exists",
    "Hashing",
    "Input",
    "NoBucket",
    "NotFound",
    "Output",
    "Prefix",
    "Result",
    "Run",
    "Secret",
    "Secrets",
    "Stat",
    "StepError",
    "Stopped",
    "Store",
    "Stores",
    "TryAgain",
    "main",
    "param",
    "publish",
    "publish_changed",
    "publish_once",
    "secret",
    "secrets",
    "setting",
    "sha256_of",
    "store_for",
]
