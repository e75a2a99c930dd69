"""Every way the ledger can refuse, and what to do about it.

LedgerError
├── BadKey             something cannot be part of a key: no JSON, no identity, no time zone
│   └── MutableImage   the image's tag says nothing about its content
├── BadAddress         the address of the ledger's database is missing or cannot be used
├── LeaseLost          another attempt has taken over: this one's write is refused
├── NoSuchRow          there is no row of that number
└── Unreachable        the database cannot be reached or refuses; the step runs, its row is written later
    └── NotMigrated    the database answers, but `tidegate ledger migrate` has not run

No text of an error holds the database's address with its password.
"""

# Names say what happened, in the words of the design.
# ruff: noqa: N818

from __future__ import annotations


class LedgerError(Exception):
    """The ledger could not do what it was asked for."""


class BadKey(LedgerError):
    """What was given cannot identify a step's work."""


class MutableImage(BadKey):
    """The tag can be moved to another image, so that a hit would prove nothing."""


class BadAddress(LedgerError):
    """The ledger's database is not named, or in a form nobody can use."""


class LeaseLost(LedgerError):
    """The attempt was taken over, superseded or closed; its late write changes nothing."""


class NoSuchRow(LedgerError):
    """No row has this number."""


class Unreachable(LedgerError):
    """The database is down, locked out or overloaded."""


class NotMigrated(Unreachable):
    """The tables are missing or of another version."""
