"""The token endpoint: password and refresh grants of one client application."""

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import unquote_plus

from gateway.simulator.accounts import CLIENT_ID, CLIENT_SECRET
from gateway.simulator.api import Reply
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.errors import Refusal


def token(cloud: SimulatedCloud, form: Mapping[str, str], authorization: str | None) -> Reply:
    """Issue tokens.

    Args:
        cloud: The state.
        form: The decoded form of the request.
        authorization: Its Authorization header, if any.

    Raises:
        Refusal: 401 for a wrong client, 400 for anything else, in the words of RFC 6749 section 5.2.
    """
    if _client(form, authorization) != (CLIENT_ID, CLIENT_SECRET):
        raise _refused("invalid_client", "Client authentication failed.", 401)
    if form.get("scope", "all") != "all":
        raise _refused("invalid_scope", "The requested scope is unknown.")
    now_ms, faults = cloud.now_ms(), cloud.faults
    match form.get("grant_type"):
        case "password":
            if "username" not in form or "password" not in form:
                raise _refused("invalid_request", "Request is missing username or password parameter.")
            grant = cloud.accounts.password_grant(form["username"], form["password"], now_ms, faults)
        case "refresh_token":
            if "refresh_token" not in form:
                raise _refused("invalid_request", "Missing refresh token parameter.")
            grant = cloud.accounts.refresh_grant(form["refresh_token"], now_ms, faults)
        case None:
            raise _refused("invalid_request", "Request is missing grant_type parameter.")
        case _:
            raise _refused("unsupported_grant_type", "The grant type is not supported.")
    if grant is None:
        raise _refused("invalid_grant", "Invalid credentials given.")
    return Reply(
        {
            "access_token": grant.access_token,
            "expires_in": int(faults.token_lifetime_s),
            "token_type": "Bearer",
            "scope": "all",
            "refresh_token": grant.refresh_token,
        }
    )


def _client(form: Mapping[str, str], authorization: str | None) -> tuple[str, str]:
    if authorization is None:
        return form.get("client_id", ""), form.get("client_secret", "")
    scheme, _, encoded = authorization.partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode("utf-8") if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        decoded = ""
    client_id, _, secret = decoded.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _refused(error: str, description: str, status: int = 400) -> Refusal:
    return Refusal(status, {"error": error, "error_description": description})
