"""Access tokens for servers: OAuth 2.0 client credentials (RFC 6749, 4.4), by secret or by signed assertion (RFC 7523).

A token is a signed statement of which key stands behind it. It is good for an hour, and no longer than the key: a
revoked key's tokens are refused as the key would be.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mailwright.core.errors import InvalidInput, Transient
from mailwright.core.instants import HOUR, SECOND, Instant
from mailwright.core.sources import WriteKey
from mailwright.runtime.write_keys import client_digest
from mailwright.web.bodies import json_response, read_body
from mailwright.web.context import WebContext
from mailwright.web.errors import TooLarge, Unsupported, status_of
from mailwright.web.pages.shell import Context

router = APIRouter(tags=["Access tokens"])

TOKEN_MICROS = HOUR
"""How long a token is good."""

_LEEWAY_S = 60  # by which the client's clock may differ from ours
_LONGEST_S = 3600  # an assertion that is good for longer is no short-lived one
_BODY_BYTES = 16_384
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_HEADERS = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class _Fault(Exception):  # answered as RFC 6749, 5.2 says; never seen outside this module
    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.description, self.status = error, description, status


@router.post("/oauth/token")
async def token(request: Request, context: Context) -> Response:
    """An access token for a client that proves who it is; errors have the shape of RFC 6749."""
    try:
        form = _form(await read_body(request, _BODY_BYTES))
        key = await run_in_threadpool(_client, context, form, request.headers.get("authorization", ""))
    except _Fault as fault:
        told = {"error": fault.error, "error_description": fault.description}
        basic = {"WWW-Authenticate": 'Basic realm="Mailwright"'} if fault.status == 401 else {}
        return _with_headers(json_response(told, fault.status), _HEADERS | basic)
    except Transient as error:
        told = {"error": "temporarily_unavailable", "error_description": error.message}
        return _with_headers(json_response(told, status_of(error)))
    except (InvalidInput, TooLarge, Unsupported) as error:
        told = {"error": "invalid_request", "error_description": error.message}
        return _with_headers(json_response(told, status_of(error)))
    expires_at = Instant(context.lease_clock.now() + TOKEN_MICROS)
    made = context.tokens.sign("access", {"digest": key.digest}, expires_at)
    answer: dict[str, Any] = {"access_token": made, "token_type": "Bearer", "expires_in": TOKEN_MICROS // SECOND}
    return _with_headers(json_response(answer | ({"scope": form["scope"]} if form.get("scope") else {})), _HEADERS)


def _with_headers(response: Response, headers: Mapping[str, str] = _HEADERS) -> Response:
    response.headers.update(headers)
    return response


def _form(body: bytes) -> dict[str, str]:
    try:
        told = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=50)
    except (UnicodeDecodeError, ValueError):
        raise _Fault("invalid_request", "the body is no form") from None
    if any(len(values) > 1 for values in told.values()):
        raise _Fault("invalid_request", "a parameter is given twice")
    return {name: values[0] for name, values in told.items()}


def _client(context: WebContext, form: Mapping[str, str], authorization: str) -> WriteKey:
    """The client that a request proves to be."""
    if form.get("grant_type") != "client_credentials":
        raise _Fault("unsupported_grant_type", "only client_credentials is known")
    if "client_assertion" in form:
        if form.get("client_assertion_type") != _ASSERTION:
            raise _Fault("invalid_request", f"client_assertion_type must be {_ASSERTION}")
        return _by_assertion(context, form["client_assertion"])
    client, secret = _basic(authorization) or (form.get("client_id", ""), form.get("client_secret", ""))
    key = context.records.sources.client(client)
    fits = hmac.compare_digest(client_digest(client, secret), key.digest if key else "")
    if key is None or not fits or key.public_key or key.revoked_at is not None:
        raise _Fault("invalid_client", "no client has this id and secret", 401)
    return key


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, told = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client, _, secret = base64.b64decode(told.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise _Fault("invalid_client", "the Authorization header cannot be read", 401) from None
    return unquote(client), unquote(secret)


# --- assertions ------------------------------------------------------------------------------------------------------


class _Claims(msgspec.Struct):
    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    iat: float = 0.0
    nbf: float = 0.0
    jti: str = ""


class _Head(msgspec.Struct):
    alg: str


def _by_assertion(context: WebContext, assertion: str) -> WriteKey:
    head, body, signature = _parts(assertion)
    try:
        alg = msgspec.json.decode(head, type=_Head).alg
        claims = msgspec.json.decode(body, type=_Claims)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _Fault("invalid_client", "the assertion is no JSON Web Token with iss, sub, aud and exp", 401) from None
    key = context.records.sources.client(claims.iss)
    if alg != "RS256":
        raise _Fault("invalid_client", "assertions must be signed with RS256", 401)
    if key is None or key.revoked_at is not None or not key.public_key or claims.sub != claims.iss:
        raise _Fault("invalid_client", "no client with a key of its own has this id", 401)
    _check_signature(key.public_key, assertion.rpartition(".")[0].encode(), signature)
    _check_claims(context, claims)
    _use_up(context, claims, assertion)
    return key


def _parts(assertion: str) -> list[bytes]:
    try:
        parts = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in assertion.split(".")]
    except (binascii.Error, ValueError):
        parts = []
    if len(parts) != 3:
        raise _Fault("invalid_client", "the assertion is no JSON Web Token", 401)
    return parts


def _check_signature(pem: str, signed: bytes, signature: bytes) -> None:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise _Fault("invalid_client", "the client's public key cannot be read: make the client anew", 401) from None
    if not isinstance(key, RSAPublicKey):
        raise _Fault("invalid_client", "the client's public key is none for RS256", 401)
    try:
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        raise _Fault("invalid_client", "the assertion is not signed with the client's key", 401) from None


def _check_claims(context: WebContext, claims: _Claims) -> None:
    """What the clock says; the two descriptions are those by which Segment's libraries mend their clock."""
    now = context.lease_clock.now() / SECOND
    base = context.settings.base_url
    audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if not {base, f"{base}/oauth", f"{base}/oauth/token"} & {each.rstrip("/") for each in audiences}:
        raise _Fault("invalid_client", f"the assertion is not meant for {base}/oauth", 401)
    if claims.exp <= now - _LEEWAY_S:
        raise _Fault("invalid_request", "Token is expired")
    if max(claims.iat, claims.nbf) > now + _LEEWAY_S:
        raise _Fault("invalid_request", "Token used before issued")
    if claims.exp > now + _LONGEST_S or (claims.iat and claims.exp > claims.iat + _LONGEST_S + _LEEWAY_S):
        raise _Fault("invalid_client", "the assertion is good for more than an hour", 401)


def _use_up(context: WebContext, claims: _Claims, assertion: str) -> None:
    """An assertion is good for one token; without an id of its own it is known by what is signed."""
    told = f"{claims.iss}\0{claims.jti or assertion.rpartition('.')[0]}"
    digest = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
    until = Instant(int((claims.exp + _LEEWAY_S + 1) * SECOND))
    if not context.records.sources.use_assertion(digest, until, context.lease_clock.now()):
        raise _Fault("invalid_client", "the assertion was used before: sign a new one, with a jti of its own", 401)
