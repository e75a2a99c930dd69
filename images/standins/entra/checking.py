"""Whether a request brings a token that Entra signed: with its public keys, fetched when they are first wanted."""

from __future__ import annotations

import json
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from entra import tokens
from entra.tokens import Unacceptable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa

SECONDS = 10


@dataclass
class Keys:
    """Checks tokens of one Entra.

    Args:
        url: Where it is: https://host:port.
        ca: PEM file of the authority of its certificate.
        audience: What a token has to be for.
    """

    url: str
    ca: str
    audience: str
    _known: dict[str, rsa.RSAPublicKey] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, header: str) -> dict[str, Any]:
        """The claims of an Authorization header; Unacceptable where its token is not to be believed."""
        return tokens.checked(header.removeprefix("Bearer "), self._key, audiences=(self.audience, f"{self.audience}/"))

    def _key(self, kid: str) -> rsa.RSAPublicKey:
        with self._lock:
            if kid not in self._known:
                self._known = self._fetched()
            if kid not in self._known:
                raise Unacceptable("it is signed by nobody we know")
            return self._known[kid]

    def _fetched(self) -> dict[str, rsa.RSAPublicKey]:
        context = ssl.create_default_context(cafile=self.ca)
        with urlopen(f"{self.url}/common/discovery/v2.0/keys", timeout=SECONDS, context=context) as answer:  # noqa: S310
            document = json.load(answer)
        return {one["kid"]: tokens.from_public(one) for one in document["keys"]}
