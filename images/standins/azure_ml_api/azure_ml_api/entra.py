"""Microsoft Entra: tokens for whoever knows the secret, or brings an assertion."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from azure_ml_api.world import World

HOUR = 3600
BEARER_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def configuration(world: World, tenant: str) -> dict[str, Any]:
    """Where the tenant's endpoints are."""
    root = f"{world.url}/{tenant}"
    return {
        "issuer": f"{root}/v2.0",
        "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
        "token_endpoint": f"{root}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
    }


def token(world: World, tenant: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """A token, or why there is none."""
    form = dict(parse_qsl(body.decode()))
    kind = "assertion" if form.get("client_assertion_type") == BEARER_ASSERTION else "secret"
    world.asked[-1]["signed_in_by"] = kind
    known = hmac.compare_digest(form.get("client_secret", "").encode(), world.secret.encode())
    if not known and not (kind == "assertion" and form.get("client_assertion")):
        said = "AADSTS7000215: Invalid client secret provided. Trace ID: 0 Correlation ID: 0"
        return 401, {"error": "invalid_client", "error_description": said}
    audience = form.get("scope", "").partition("/.default")[0]
    return 200, {"token_type": "Bearer", "expires_in": HOUR, "access_token": jwt(audience, tenant)}


def jwt(audience: str, tenant: str) -> str:
    """Shaped like a token, signed by nobody."""
    claims = {"aud": audience, "tid": tenant, "exp": int(time.time()) + HOUR, "appid": "stand-in"}
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}.c2lnbmVk"


def is_token(header: str) -> bool:
    """Whether a request brings one of ours that has not run out."""
    try:
        part = header.removeprefix("Bearer ").split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return bool(claims["exp"] > time.time())
    except (ValueError, IndexError, KeyError, TypeError):
        return False


def _part(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()
