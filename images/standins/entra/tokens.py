"""JSON web tokens, signed with RS256 (RFC 7519, RFC 7515), and the public keys that check them (RFC 7517)."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

ALGORITHM = "RS256"


class Unacceptable(ValueError):  # noqa: N818 (what it says)
    """A token that is not to be believed; its text says why."""


def signed(claims: Mapping[str, Any], key: rsa.RSAPrivateKey, *, kid: str) -> str:
    """A token with these claims."""
    text = f"{_encoded({'alg': ALGORITHM, 'typ': 'JWT', 'kid': kid})}.{_encoded(claims)}"
    return f"{text}.{_base64(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, whoever signed them; Unacceptable where it is no token."""
    try:
        header, claims = (json.loads(_bytes(part)) for part in token.split(".")[:2])
        if not isinstance(header, dict) or not isinstance(claims, dict):
            raise Unacceptable("its parts are no objects")
    except ValueError as error:
        raise Unacceptable("it is no token") from error
    return header, claims


def checked(token: str, key_of: Callable[[str], rsa.RSAPublicKey], *, audiences: Collection[str]) -> dict[str, Any]:
    """The claims of a token that is signed by the key of its id, for one of these audiences, and of now.

    Raises:
        Unacceptable: It is not.
    """
    header, claims = parts(token)
    text, _, signature = token.rpartition(".")
    if header.get("alg") != ALGORITHM:
        raise Unacceptable(f"it is signed by {header.get('alg')}")
    try:
        key_of(str(header.get("kid", ""))).verify(_bytes(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise Unacceptable("its signature does not match") from error
    refuse_stale(claims)
    if claims.get("aud") not in audiences:
        raise Unacceptable(f"it is for {claims.get('aud')}")
    return claims


def refuse_stale(claims: Mapping[str, Any]) -> None:
    """Refuse a token that has run out, or whose time has not come."""
    now = time.time()
    begins, ends = claims.get("nbf", 0), claims.get("exp", 0)
    if not isinstance(ends, int | float) or not isinstance(begins, int | float) or not begins - 300 <= now < ends:
        raise Unacceptable("it has run out")


def public(key: rsa.RSAPublicKey, kid: str) -> dict[str, str]:
    """A public key as services fetch it."""
    numbers = key.public_numbers()
    n, e = (_base64(number.to_bytes((number.bit_length() + 7) // 8)) for number in (numbers.n, numbers.e))
    return {"kty": "RSA", "use": "sig", "alg": ALGORITHM, "kid": kid, "n": n, "e": e}


def from_public(document: Mapping[str, str]) -> rsa.RSAPublicKey:
    """The key of such a document."""
    n, e = (int.from_bytes(_bytes(document[name])) for name in ("n", "e"))
    return rsa.RSAPublicNumbers(e, n).public_key()


def _encoded(document: Mapping[str, Any]) -> str:
    return _base64(json.dumps(document).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
