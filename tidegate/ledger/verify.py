"""Whether what a row recorded still holds: the question that is asked of the stores before anything is skipped.

Unless the step says otherwise, see `model.Proof`, every output must exist with the etag that was recorded, or, where
the etag is another, with the recorded size and sha256 (a copy of the same bytes). What cannot be checked does not
hold: running again is safe, a false hit is not.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from tidegate.ledger.model import Proof, Seen

if TYPE_CHECKING:
    from typing import BinaryIO

    from tidegate.ledger.decide import Check
    from tidegate.ledger.model import Output


CHUNK = 1024 * 1024
"""Bytes of an output that are in memory at a time."""


class Probe(Protocol):
    """The little the ledger wants to know of a store; calls may block and are made in threads."""

    def seen(self, url: str) -> Seen | None:
        """The object's size and version now; None where it, its bucket or its folder is gone."""

    def sha256(self, url: str) -> str:
        """Of the object's content, hexadecimal; asked for only where the etag cannot answer."""


def fault_of(check: Check, probe: Probe) -> str:
    """Empty where the row's result may be used, else what is wrong with it, in one line."""
    row, own = check.row, check.request.verify
    proof = check.request.proof
    for output in row.outputs if proof is not Proof.RECORD else ():
        if fault := _fault(output, probe, proof):
            return fault
    return _own_fault(check) if own is not None else ""


def _own_fault(check: Check) -> str:
    if check.request.verify is None:
        return ""
    try:
        return check.request.verify(check.row)
    except Exception as error:  # whatever a step's own check throws, it has not proved anything
        return f"the step's own verify failed: {type(error).__name__}: {error}"


def _fault(output: Output, probe: Probe, proof: Proof) -> str:
    try:
        seen = probe.seen(output.url)
        if seen is None:
            return f"output {output.name} is gone: {output.url}"
        same = _same(output, seen, probe, proof)
    except Exception as error:  # any store's error means the same here: not proved
        return f"output {output.name} cannot be checked: {type(error).__name__}: {error}"
    return "" if same else f"output {output.name} is not what was written: {output.url}"


def _same(output: Output, seen: Seen, probe: Probe, proof: Proof) -> bool:
    """By etag and size; or by size and content, which needs a reading of it all."""
    if proof is Proof.EXISTS:
        return True
    if seen.size != output.size:
        return False
    if proof is Proof.SIZE or (proof is Proof.VERSION and output.etag and seen.etag == output.etag):
        return True
    return bool(output.sha256) and probe.sha256(output.url) == output.sha256


class NoStores:
    """The probe of those who only read rows: every check fails."""

    def seen(self, url: str) -> Seen | None:
        """Never right: raises."""
        raise LookupError(f"no store is open here to look at {url}")

    def sha256(self, url: str) -> str:
        """Never right: raises."""
        raise LookupError(f"no store is open here to read {url}")


class Version(Protocol):
    """One version of an object, as a store's `stat` tells it."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def etag(self) -> str:
        """The store's mark of this version."""

    @property
    def version(self) -> str:
        """The version id where the store keeps versions, else empty."""


class Objects(Protocol):
    """The part of a step's store that a probe needs."""

    def stat(self, url: str) -> Version:
        """Size and version of an object."""

    def open(self, url: str) -> BinaryIO:
        """Its content as a stream."""


class StoreProbe:
    """A probe over the stores of `tidegate.step`; `missing` is what they raise for an object that is not there."""

    def __init__(self, store: Objects, *, missing: type[Exception]) -> None:
        self._store = store
        self._missing = missing

    def seen(self, url: str) -> Seen | None:
        """See Probe.seen."""
        try:
            found = self._store.stat(url)
        except self._missing:
            return None
        return Seen(size=found.size, etag=found.etag, version=found.version)

    def sha256(self, url: str) -> str:
        """See Probe.sha256; streamed, never the whole object in memory."""
        with self._store.open(url) as body:
            digest = sha256()
            while piece := body.read(CHUNK):
                digest.update(piece)
            return digest.hexdigest()
