"""Who signs in, and with what: the endpoints of a tenant, and those of a machine's own identity."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit
from uuid import NAMESPACE_URL, uuid4, uuid5

from cryptography.hazmat.primitives.asymmetric import rsa

from entra import tokens
from entra.tokens import Unacceptable

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR = 3600
BEARER_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE = "api://AzureADTokenExchange"
"""What a federated token is for."""
MACHINE = "/metadata/identity/oauth2/token"
"""Where a machine asks for a token of its own identity, over plain HTTP."""
Answer = tuple[int, dict[str, Any]]


@dataclass
class Entra:
    """All tenants of one Entra.

    Args:
        url: How it is reached: https://host:port.
        secret: What service principals sign in with.
        issuer: Whose federated tokens are believed; nobody's by default.
    """

    url: str
    secret: str = field(repr=False)
    issuer: rsa.RSAPublicKey | None = None
    signed_in: list[dict[str, str]] = field(default_factory=list)
    """Every attempt to sign in: by what (`secret`, `certificate`, `federated`, `machine`), as whom, and for what."""
    _key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048), repr=False)
    _kid: str = field(default_factory=lambda: uuid4().hex)

    def answer(self, target: str, body: bytes) -> Answer | None:
        """What a tenant's endpoint answers; None for what is not Entra's."""
        tenant, _, rest = urlsplit(target).path.strip("/").partition("/")
        if rest == "v2.0/.well-known/openid-configuration":
            return 200, self._configuration(tenant)
        if rest == "discovery/v2.0/keys":
            return 200, {"keys": [tokens.public(self._key.public_key(), self._kid)]}
        if rest == "oauth2/v2.0/token":
            return self._token(tenant, dict(parse_qsl(body.decode())))
        return None

    def machine(self, target: str, headers: Mapping[str, str]) -> Answer:
        """What the metadata endpoint of a machine answers: a token of its identity."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        if parts.path != MACHINE:
            return 404, {"error": "not_found"}
        client, audience = query.get("client_id", "the-machine"), query.get("resource", "")
        self._note("machine", client, audience)
        if headers.get("metadata", "").lower() != "true" or not audience:
            return 400, {"error": "invalid_request", "error_description": "want the header Metadata, and resource"}
        found = self._issued("machine-tenant", client, audience)
        return 200, {**found, "expires_in": str(HOUR), "expires_on": str(int(time.time()) + HOUR), "resource": audience}

    def accept(self, header: str, *, audiences: tuple[str, ...]) -> dict[str, Any]:
        """The claims of an Authorization header with a token of ours; Unacceptable where it has none."""
        return tokens.checked(header.removeprefix("Bearer "), self._own, audiences=audiences)

    def _own(self, kid: str) -> rsa.RSAPublicKey:
        if kid != self._kid:
            raise Unacceptable("it is signed by nobody we know")
        return self._key.public_key()

    def _configuration(self, tenant: str) -> dict[str, Any]:
        root = f"{self.url}/{tenant}"
        return {
            "issuer": f"{root}/v2.0",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{root}/discovery/v2.0/keys",
        }

    def _token(self, tenant: str, form: Mapping[str, str]) -> Answer:
        client, audience = form.get("client_id", ""), form.get("scope", "").partition("/.default")[0].rstrip("/")
        try:
            self._refuse(tenant, client, form, audience)
        except Unacceptable as refused:
            said = f"{refused}. Trace ID: 0 Correlation ID: 0"
            return 401, {"error": "invalid_client", "error_description": said}
        return 200, self._issued(tenant, client, audience)

    def _refuse(self, tenant: str, client: str, form: Mapping[str, str], audience: str) -> None:
        """Refuse who does not prove to be this client."""
        if form.get("client_assertion_type") != BEARER_ASSERTION:
            self._note("secret", client, audience)
            if not hmac.compare_digest(form.get("client_secret", "").encode(), self.secret.encode()):
                raise Unacceptable("AADSTS7000215: Invalid client secret provided")
            return
        assertion = form.get("client_assertion", "")
        of_certificate = bool(tokens.parts(assertion)[0].keys() & {"x5t", "x5t#S256", "x5c"})
        self._note("certificate" if of_certificate else "federated", client, audience)
        if of_certificate:
            _refuse_foreign(assertion, client, self._configuration(tenant)["token_endpoint"])
        else:
            self._refuse_unknown_issuer(assertion)

    def _refuse_unknown_issuer(self, assertion: str) -> None:
        def key_of(_: str) -> rsa.RSAPublicKey:
            if self.issuer is None:
                raise Unacceptable("no issuer of federated tokens is trusted")
            return self.issuer

        try:
            claims = tokens.checked(assertion, key_of, audiences=(EXCHANGE,))
        except Unacceptable as error:
            raise Unacceptable(f"AADSTS700211: No matching federated identity record found: {error}") from error
        if not claims.get("sub"):
            raise Unacceptable("AADSTS700213: No matching federated identity record found: it has no subject")

    def _note(self, kind: str, client: str, audience: str) -> None:
        self.signed_in.append({"by": kind, "client": client, "for": audience})

    def _issued(self, tenant: str, client: str, audience: str) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": f"{self.url}/{tenant}/v2.0",
            "tid": tenant,
            "appid": client,
            "oid": str(uuid5(NAMESPACE_URL, client)),
            "iat": now,
            "nbf": now,
            "exp": now + HOUR,
        }
        return {
            "token_type": "Bearer",
            "expires_in": HOUR,
            "access_token": tokens.signed(claims, self._key, kid=self._kid),
        }


def _refuse_foreign(assertion: str, client: str, endpoint: str) -> None:
    """Refuse an assertion of a certificate that is not this client's, not for us, or not of now."""
    claims = tokens.parts(assertion)[1]
    tokens.refuse_stale(claims)
    if (claims.get("iss"), claims.get("sub"), claims.get("aud")) != (client, client, endpoint):
        raise Unacceptable("AADSTS700027: The assertion is another client's, or for another endpoint")
