"""A link's token brings back what was signed, for its purpose and time, and nothing else gets through."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import Instant
from mailwright.privacy import KeyRing, Tokens

RING = KeyRing.generate()
TOKENS = Tokens(RING)
URL_SAFE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
PURPOSES = ("open", "click", "unsubscribe", "preview")

payloads = st.binary(max_size=80) | st.dictionaries(st.text(max_size=8), st.integers(-9, 9) | st.text(max_size=9))


def code_of(purpose, token, now=None):
    with pytest.raises(InvalidInput) as caught:
        TOKENS.verify(purpose, token, now)
    return caught.value.code


@settings(max_examples=100, deadline=None)
@given(purpose=st.sampled_from(PURPOSES), payload=payloads)
def test_a_token_brings_its_payload_back_for_its_purpose_alone(purpose, payload):
    token = TOKENS.sign(purpose, payload)
    assert set(token) <= URL_SAFE
    assert TOKENS.verify(purpose, token) == payload
    assert {code_of(other, token) for other in PURPOSES if other != purpose} == {"token.invalid"}


@settings(max_examples=100, deadline=None)
@given(data=st.data(), payload=payloads, expires=st.none() | st.just(Instant(10**9)))
def test_no_changed_token_gets_through(data, payload, expires):
    token = TOKENS.sign("click", payload, expires)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(sorted(URL_SAFE - {token[place]})))
    changed = data.draw(st.sampled_from([token[:place] + other + token[place + 1 :], token[:place], token + other]))
    assert code_of("click", changed, Instant(0)) in ("token.invalid", "token.malformed")


@pytest.mark.parametrize("payload", [b"", b"1", b"12"])
def test_a_token_has_no_second_spelling(payload):
    """Base64 leaves bits of the last character unused; another one there is another token, and refused."""
    token = TOKENS.sign("click", payload)
    for last in URL_SAFE - {token[-1]}:
        assert code_of("click", token[:-1] + last) in ("token.invalid", "token.malformed")
    assert code_of("click", token + "=") == "token.malformed"


@settings(max_examples=100, deadline=None)
@given(token=st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(b"\1\1\1" + raw).decode().rstrip("=")))
def test_arbitrary_text_is_refused(token):
    assert code_of("open", token) in ("token.invalid", "token.malformed")


def test_a_token_is_valid_up_to_its_instant_of_expiry():
    token = TOKENS.sign("preview", {"m": "x"}, Instant(1_000))
    assert TOKENS.verify("preview", token, Instant(999)) == {"m": "x"}
    assert code_of("preview", token, Instant(1_000)) == "token.expired"
    assert code_of("preview", token) == "token.expired"


def test_unsubscribe_tokens_cannot_expire():
    with pytest.raises(ValueError, match="never expires"):
        TOKENS.sign("unsubscribe", b"", Instant(5))
    assert TOKENS.verify("unsubscribe", TOKENS.sign("unsubscribe", b"x"), Instant(2**62)) == b"x"


def test_old_links_outlive_a_rotation_and_other_installations_links_are_nothing():
    rotated = Tokens(KeyRing(data=RING.data, hash=RING.hash, links={**RING.links, 2: bytes(32)}))
    assert rotated.verify("unsubscribe", TOKENS.sign("unsubscribe", b"old")) == b"old"
    assert code_of("unsubscribe", rotated.sign("unsubscribe", b"new")) == "token.invalid"
    assert code_of("open", Tokens(KeyRing.generate()).sign("open", b"x")) == "token.invalid"


def test_a_token_is_short():
    assert len(TOKENS.sign("click", b"12345678")) == 36
