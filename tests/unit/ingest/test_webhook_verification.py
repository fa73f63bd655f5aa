"""Who a request comes from: every scheme, forged and stale ones, and secrets that are exchanged."""

import base64
import hashlib
import hmac

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mailwright.core.instants import DAY, SECOND, Instant, format_iso
from mailwright.ingest.webhooks.verification import Authentic, Request, Verification, secret_names, verify

NOW = Instant(20_000 * DAY)
AT = str(NOW // SECOND)
BODY = b'{"id": 1}'
SECRET = "s3cret"
SVIX = "whsec_" + base64.b64encode(b"a key of some length").decode()
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = PRIVATE.public_key().public_bytes_raw()


def keyed(payload: bytes, algorithm: str = "sha256", secret: bytes = SECRET.encode()) -> bytes:
    return hmac.new(secret, payload, algorithm).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def how(**told: object) -> Verification:
    return msgspec.convert(told, Verification)


def svix(body: bytes = BODY, at: str = AT, prefix: str = "webhook", key: bytes = b"a key of some length") -> dict:
    signature = b64(keyed(f"msg_1.{at}.".encode() + body, secret=key))
    return {f"{prefix}-id": "msg_1", f"{prefix}-timestamp": at, f"{prefix}-signature": f"v1,AAAA v1,{signature}"}


ISO = format_iso(NOW)
SCHEMES = {
    "hmac": (
        how(kind="hmac", secret_env="S", header="X-Sig", prefix="sha256="),
        {"x-sig": "sha256=" + keyed(BODY).hex()},
    ),
    "hmac base64": (
        how(kind="hmac", secret_env="S", header="X-Sig", encoding="base64"),
        {"x-sig": b64(keyed(BODY))},
    ),
    "hmac sha1": (
        how(kind="hmac", secret_env="S", header="X-Sig", algorithm="sha1"),
        {"x-sig": keyed(BODY, "sha1").hex()},
    ),
    "hmac sha512, several": (
        how(kind="hmac", secret_env="S", header="X-Sig", algorithm="sha512"),
        {"x-sig": "00, " + keyed(BODY, "sha512").hex()},
    ),
    "hmac with time": (
        how(kind="hmac", secret_env="S", header="X-Sig", payload="v0:{timestamp}:{body}", timestamp_header="X-At"),
        {"x-sig": keyed(f"v0:{AT}:".encode() + BODY).hex(), "x-at": AT},
    ),
    "hmac with ISO time": (
        how(kind="hmac", secret_env="S", header="X-Sig", payload="{timestamp}{body}", timestamp_header="X-At"),
        {"x-sig": keyed(ISO.encode() + BODY).hex(), "x-at": ISO},
    ),
    "standard": (how(kind="standard", secret_env="S"), svix()),
    "svix": (how(kind="standard", secret_env="S"), svix(prefix="svix")),
    "stripe": (
        how(kind="stripe", secret_env="S"),
        {"stripe-signature": f"t={AT},v1=00,v1={keyed(f'{AT}.'.encode() + BODY).hex()},v0=11"},
    ),
    "ed25519": (
        how(
            kind="ed25519",
            public_key=PUBLIC.hex(),
            header="X-Sig",
            payload="{timestamp}{body}",
            timestamp_header="X-At",
        ),
        {"x-sig": PRIVATE.sign(AT.encode() + BODY).hex(), "x-at": AT},
    ),
    "basic": (how(kind="basic", secret_env="S", user="shop"), {"authorization": "Basic " + b64(b"shop:s3cret")}),
    "bearer": (how(kind="bearer", secret_env="S"), {"authorization": "bearer s3cret"}),
    "bare header": (how(kind="bearer", secret_env="S", header="X-Token"), {"x-token": "s3cret"}),
}
TIMED = ("hmac with time", "hmac with ISO time", "standard", "svix", "stripe", "ed25519")


def secrets_of(name: str) -> list[str]:
    return [SVIX if name in ("standard", "svix") else SECRET]


@pytest.mark.parametrize("name", SCHEMES)
def test_a_genuine_request_is_known_by_what_was_signed(name):
    verification, headers = SCHEMES[name]
    found = verify(verification, Request(body=BODY, headers=headers), secrets_of(name), NOW)
    assert isinstance(found, Authentic), found
    assert found.seals
    assert verify(verification, Request(body=BODY, headers=headers), ["old", *secrets_of(name)], NOW) == found


@pytest.mark.parametrize("name", SCHEMES)
def test_forged_requests_are_refused(name):
    verification, headers = SCHEMES[name]
    signed = name not in ("basic", "bearer", "bare header")
    tries = [Request(body=BODY, headers={}), Request(body=BODY, headers={key: "x" for key in headers})]
    tries += [Request(body=BODY, headers={**headers, key: ""}) for key in headers]
    tries += [Request(body=BODY + b" ", headers=headers)] if signed else []
    for request in tries:
        assert isinstance(verify(verification, request, secrets_of(name), NOW), str), request.headers
    if verification.kind != "ed25519":
        for secrets in ([], [""], ["other"]):
            assert isinstance(verify(verification, Request(body=BODY, headers=headers), secrets, NOW), str)


@pytest.mark.parametrize("name", TIMED)
def test_what_was_signed_long_ago_or_ahead_is_refused(name):
    verification, headers = SCHEMES[name]
    request = Request(body=BODY, headers=headers)
    for off in (-300, 300):
        assert isinstance(verify(verification, request, secrets_of(name), Instant(NOW + off * SECOND)), Authentic)
    for off in (-301, 301):
        assert "too long ago" in str(verify(verification, request, secrets_of(name), Instant(NOW + off * SECOND)))


@pytest.mark.parametrize("at", ["", "soon", "1e9", "99999999999999", "-5", "NaN"])
def test_a_signed_time_that_is_none_is_as_bad_as_an_old_one(at):
    verification = how(kind="stripe", secret_env="S")
    signed = {"stripe-signature": f"t={at},v1={keyed(f'{at}.'.encode() + BODY).hex()}"}
    assert isinstance(verify(verification, Request(body=BODY, headers=signed), [SECRET], NOW), str)


def test_a_token_stands_in_the_address():
    verification = how(kind="token", secret_env="S", parameter="key")
    assert isinstance(verify(verification, Request(body=BODY, query={"key": SECRET}), [SECRET], NOW), Authentic)
    for query in ({}, {"key": ""}, {"key": "x"}, {"token": SECRET}):
        assert isinstance(verify(verification, Request(body=BODY, query=query), [SECRET], NOW), str)


def test_another_key_signs_nothing():
    verification, headers = SCHEMES["ed25519"]
    other = Ed25519PrivateKey.from_private_bytes(b"o" * 32).sign(AT.encode() + BODY).hex()
    assert isinstance(verify(verification, Request(body=BODY, headers={**headers, "x-sig": other}), [], NOW), str)


def test_the_seal_is_of_what_was_signed():
    verification, headers = SCHEMES["hmac"]
    found = verify(verification, Request(body=BODY, headers=headers), [SECRET], NOW)
    assert found.seals == (hashlib.sha256(BODY).hexdigest(),)


def test_secrets_by_their_names():
    assert secret_names(how(kind="bearer", secret_env=["NEW", "OLD"])) == ["NEW", "OLD"]
    assert secret_names(SCHEMES["ed25519"][0]) == []


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"kind": "hmac", "header": "X"}, "needs secret_env"),
        ({"kind": "hmac", "secret_env": "S"}, "needs header"),
        ({"kind": "hmac", "secret_env": "lower", "header": "X"}, "no variable of the environment"),
        ({"kind": "hmac", "secret_env": "S", "header": "X", "payload": "{timestamp}"}, "does not hold {body}"),
        ({"kind": "hmac", "secret_env": "S", "header": "X", "payload": "{timestamp}.{body}"}, "timestamp_header"),
        ({"kind": "hmac", "secret_env": "S", "header": "X", "timestamp_header": "T"}, "proves nothing"),
        ({"kind": "hmac", "secret_env": "S", "header": "X", "tolerance": "soon"}, "soon"),
        ({"kind": "ed25519", "public_key": "00", "header": "X"}, "no Ed25519 key"),
        ({"kind": "ed25519", "secret_env": "S", "header": "X"}, "public_key"),
        ({"kind": "none"}, "none"),
        ({"kind": "bearer", "secret_env": "S", "secret": "x"}, "secret"),
    ],
)
def test_faults_of_a_verification(told, fault):
    with pytest.raises(msgspec.ValidationError, match=fault):
        how(**told)
