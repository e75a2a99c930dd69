"""Who may do what: the account's keys, and where an Entra is trusted, whoever brings a token or a delegated signature.

A token's signature is checked, not its roles: whoever has one may do all. Azurite knows the account's key and nothing
else, so what was let in by a token is signed with that key before it is passed on.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit
from xml.etree import ElementTree as ET

from azure.storage.blob import UserDelegationKey, generate_blob_sas
from entra import Unacceptable

from datalake import sharedkey
from datalake.lake import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entra import Keys

AUDIENCE = "https://storage.azure.com"
BEARER = "Bearer "
READS = ("GET", "HEAD")
SERVICE_VERSION = "2026-06-06"
"""The newest that Azurite knows."""
SIGNATURE = ("sig", "sv", "sr", "sp", "st", "se", "spr", "sip", "skoid", "sktid", "skt", "ske", "sks", "skv")
"""What a delegated signature adds to a query."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """The account's keys, and the Entra that is trusted."""

    account: str
    key: str
    reader_key: str = ""
    """Another key of the account, with which nothing can be changed here; empty for none."""
    keys: Keys | None = None
    """Of the Entra whose tokens count; None for none."""

    def is_change_by_reader(self, method: str, target: str, headers: Mapping[str, str]) -> bool:
        """Whether the reader's key would change something; a signature in the query may be its work as well."""
        if method in READS or not self.reader_key:
            return False
        return "sig" in _query(target) or not self._fault(method, target, headers, self.reader_key)

    def refuse(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        """Refuse a translated call that neither a key nor a token lets in."""
        if self._by_token(headers):
            return
        fault = self._fault(method, target, headers, self.key)
        if fault and (not self.reader_key or self._fault(method, target, headers, self.reader_key)):
            raise Refused(403, "AuthenticationFailed", f"Server failed to authenticate the request: {fault}.")

    def passed_on(self, method: str, target: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """Target and headers for Azurite: signed anew where a token or a delegated signature lets the call in."""
        delegated = "skoid" in _query(target)
        if not delegated and not self._by_token(headers):
            return target, dict(headers)
        if delegated:
            self._refuse_delegated(method, target)
            target = _without_signature(target)
        kept = {name.lower(): value for name, value in headers.items() if name.lower() != "authorization"}
        kept |= {"x-ms-date": format_datetime(datetime.now(UTC), usegmt=True)}
        kept.setdefault("x-ms-version", SERVICE_VERSION)
        signed = sharedkey.sign(sharedkey.string_to_sign(method, target, kept, account=self.account), self.key)
        return target, {**kept, "authorization": f"SharedKey {self.account}:{signed}"}

    def delegation_key(self, headers: Mapping[str, str], body: bytes) -> bytes:
        """The key that a token's owner signs with for a while, as the service answers it; Refused without a token."""
        claims = self._by_token(headers)
        if not claims:
            raise Refused(403, "AuthenticationFailed", "Only who signs in by Entra is delegated a key.")
        asked = {one.tag: one.text or "" for one in ET.fromstring(body)}  # noqa: S314 - a stand-in's callers
        fields = {
            "SignedOid": str(claims["oid"]),
            "SignedTid": str(claims["tid"]),
            "SignedStart": asked.get("Start", ""),
            "SignedExpiry": asked["Expiry"],
            "SignedService": "b",
            "SignedVersion": headers.get("x-ms-version", SERVICE_VERSION),
        }
        root = ET.Element("UserDelegationKey")
        for name, text in {**fields, "Value": self._delegated(*list(fields.values())[:4])}.items():
            ET.SubElement(root, name).text = text
        return ET.tostring(root, encoding="utf-8", xml_declaration=True)

    def _by_token(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The claims of the token that a call brings; empty where it brings none."""
        header = {name.lower(): value for name, value in headers.items()}.get("authorization", "")
        if self.keys is None or not header.startswith(BEARER):
            return {}
        try:
            return self.keys.accept(header)
        except Unacceptable as error:
            said = f"Server failed to authenticate the request: {error}."
            raise Refused(401, "InvalidAuthenticationInfo", said) from error

    def _fault(self, method: str, target: str, headers: Mapping[str, str], key: str) -> str:
        return sharedkey.fault(method, target, headers, account=self.account, key=key)

    def _delegated(self, *what: str) -> str:
        """The delegated key of that owner and time: made of the account's, so that it need not be remembered."""
        digest = hmac.new(base64.b64decode(self.key), "\n".join(what).encode(), sha256).digest()
        return base64.b64encode(digest).decode()

    def _refuse_delegated(self, method: str, target: str) -> None:
        """Refuse a delegated signature that does not match, is over, or is for something else."""
        query = _query(target)
        key = UserDelegationKey()
        key.signed_oid, key.signed_tid, key.signed_service = query["skoid"], query["sktid"], query["sks"]
        key.signed_start, key.signed_expiry, key.signed_version = query["skt"], query["ske"], query["skv"]
        key.value = self._delegated(query["skoid"], query["sktid"], query["skt"], query["ske"])
        _, container, blob = unquote(urlsplit(target).path).lstrip("/").split("/", 2)
        again = generate_blob_sas(
            self.account,
            container,
            blob,
            user_delegation_key=key,
            permission=query.get("sp"),
            expiry=query.get("se"),
            start=query.get("st"),
            protocol=query.get("spr"),
            ip=query.get("sip"),
        )
        ends = min(datetime.fromisoformat(query[name]) for name in ("se", "ske"))
        mine = dict(parse_qsl(again))["sig"]
        if not hmac.compare_digest(mine, query["sig"]) or ends < datetime.now(UTC):
            raise Refused(403, "AuthenticationFailed", "The signature does not match, or is over.")
        if method not in READS or "r" not in query.get("sp", ""):
            raise Refused(403, "AuthorizationPermissionMismatch", "The signature is for reading.")


def _query(target: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))


def _without_signature(target: str) -> str:
    kept = {name: value for name, value in _query(target).items() if name not in SIGNATURE}
    return urlsplit(target).path + (f"?{urlencode(kept)}" if kept else "")
