"""The run ledger: whether a step must run, what it did, and the proof that skipping it is safe.

Knows no Airflow. `Ledger` is for ordinary code, `AsyncLedger` for an event loop; both drive the same decisions.
"""

from tidegate.ledger.aio import AsyncLedger
from tidegate.ledger.errors import (
    BadAddress,
    BadKey,
    LeaseLost,
    LedgerError,
    MutableImage,
    NoSuchRow,
    NotMigrated,
    Unreachable,
)
from tidegate.ledger.identity import image_identity, input_identity
from tidegate.ledger.key import KeyedBy, declared, key_of
from tidegate.ledger.ledger import Ledger
from tidegate.ledger.model import (
    HEARTBEAT,
    LEASE,
    Blind,
    Claim,
    Ended,
    Hit,
    Key,
    Outcome,
    Output,
    Proof,
    Request,
    Row,
    Seen,
    State,
    Task,
    Verdict,
    Verify,
    Wait,
)
from tidegate.ledger.spool import Spool
from tidegate.ledger.verify import Probe

__all__ = [
    "HEARTBEAT",
    "LEASE",
    "AsyncLedger",
    "BadAddress",
    "BadKey",
    "Blind",
    "Claim",
    "Ended",
    "Hit",
    "Key",
    "KeyedBy",
    "LeaseLost",
    "Ledger",
    "LedgerError",
    "MutableImage",
    "NoSuchRow",
    "NotMigrated",
    "Outcome",
    "Output",
    "Probe",
    "Proof",
    "Request",
    "Row",
    "Seen",
    "Spool",
    "State",
    "Task",
    "Unreachable",
    "Verdict",
    "Verify",
    "Wait",
    "declared",
    "image_identity",
    "input_identity",
    "key_of",
]
