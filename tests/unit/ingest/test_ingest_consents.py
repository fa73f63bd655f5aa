"""A consent is a ledger row that somebody could prove, or is refused; no address comes out in clear text."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput, MailwrightError
from mailwright.core.instants import DAY, MINUTE, SECOND, Instant, format_iso, parse_iso
from mailwright.core.ports import Consent
from mailwright.ingest.consents import Suppression, parse_consents, parse_suppressions
from mailwright.ingest.limits import LIMITS, Limits, Refusal
from mailwright.privacy import KeyRing, Sealer

SEAL = Sealer(KeyRing.generate())
NOW = parse_iso("2026-05-01T12:00:00Z")
HASH = SEAL.seal("email", "anna@example.com")["hash"]
GRANT = {
    "email": "anna@example.com",
    "purpose": "marketing",
    "granted": True,
    "source": "form",
    "wording": "Yes, send me offers.",
}
BOUNCE = {"email": "anna@example.com", "reason": "bounce"}


def parse(*items, **options):
    body = json.dumps({"consents": items}).encode()
    return parse_consents(body, **{"hash_address": SEAL.hash_address, "received_at": NOW, **options})


def suppress(*items, **options):
    body = json.dumps({"suppressions": items}).encode()
    return parse_suppressions(body, **{"hash_address": SEAL.hash_address, **options})


def row(**changes):
    told = {name: value for name, value in GRANT.items() if name != "email"}
    return Consent(**{"address_hash": HASH, "at": NOW, **told, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"email": " Anna@EXAMPLE.com "}, {}),
        ({"purpose": " marketing\n", "source": " form "}, {}),
        ({"at": "2026-04-30T12:00:00Z"}, {"at": Instant(NOW - DAY)}),
        ({"at": None}, {}),
        ({"granted": False}, {"granted": False}),
        ({"granted": False, "wording": None}, {"granted": False, "wording": ""}),
        ({"wording": "Yes.\r\nI may stop \N{FAMILY}\N{ZERO WIDTH JOINER} any time."}, None),
    ],
)
def test_a_good_consent_is_a_row_under_the_hash_that_the_gate_asks_for(changes, expected):
    parsed = parse({**GRANT, **changes})
    assert parsed.refused == []
    assert parsed.consents == [row(**(changes if expected is None else expected))]


@pytest.mark.parametrize("ahead", [0, 1, SECOND, MINUTE])
def test_a_clock_that_runs_a_little_ahead_means_now(ahead):
    # A row in the future would outlast a withdrawal that comes before it.
    assert parse({**GRANT, "at": format_iso(Instant(NOW + ahead))}).consents == [row()]


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"email": "anna"}, "email", "is no e-mail address"),
        ({"email": ""}, "email", "is no e-mail address"),
        ({"email": "Anna <anna@example.com>"}, "email", "is no e-mail address"),
        ({"email": "an\x00na@example.com"}, "email", "it has control characters"),
        ({"email": None}, "email", "null was sent where a text belongs"),
        ({"purpose": " "}, "purpose", "it has 0 characters, 1 to 256 are taken"),
        ({"purpose": "x" * 257}, "purpose", "it has 257 characters, 1 to 256 are taken"),
        ({"source": ""}, "source", "it has 0 characters, 1 to 256 are taken"),
        ({"source": "fo\x1brm"}, "source", "it has control characters"),
        ({"wording": ""}, "wording", "a grant needs the wording that the person saw"),
        ({"wording": " \n"}, "wording", "a grant needs the wording that the person saw"),
        ({"wording": None}, "wording", "a grant needs the wording that the person saw"),
        ({"wording": "Yes\x1b[2J"}, "wording", "it has control characters"),
        ({"granted": "yes"}, "granted", "a text was sent where true or false belongs"),
        ({"granted": 1}, "granted", "a number was sent where true or false belongs"),
        ({"at": "soon"}, "at", "'soon' is not an ISO 8601 time"),
        ({"at": "9999-12-31T23:59:59-10:00"}, "at", "the time is out of range"),
        ({"at": "0001-01-01T00:00:00+23:00"}, "at", "the time is out of range"),
        ({"at": "1970-01-01"}, "at", "1970-01-01T00:00:00Z is before 1980-01-01T00:00:00Z"),
        (
            {"at": "2026-05-01T12:01:00.000001Z"},
            "at",
            "2026-05-01T12:01:00.000001Z lies in the future; it is 2026-05-01T12:00:00Z",
        ),
        ({"word": "Yes"}, "word", "there is no such field"),
        ({"wording": "x" * 33_000}, "", "it has 33,103 bytes, at most 32,768 are taken"),
    ],
)
def test_a_bad_consent_is_refused_and_its_neighbours_are_taken(changes, field, reason):
    parsed = parse(GRANT, {**GRANT, **changes}, GRANT)
    assert parsed.refused == [Refusal(1, field, reason)]
    assert parsed.consents == [row(), row()]


def test_all_faults_of_a_consent_are_told():
    faults = parse({"email": "x", "purpose": "", "granted": True, "source": "", "at": "x"}).refused
    assert [one.field for one in faults] == ["email", "purpose", "source", "wording", "at"]


@pytest.mark.parametrize("missing", ["email", "purpose", "granted", "source"])
def test_what_must_be_there(missing):
    parsed = parse({name: value for name, value in GRANT.items() if name != missing})
    assert parsed.refused == [Refusal(0, missing, "missing")]


def test_suppressions():
    parsed = suppress(BOUNCE, {**BOUNCE, "reason": " "}, {**BOUNCE, "email": "x"}, {"email": "a@b.co"}, 1)
    assert parsed.suppressions == [Suppression(address_hash=HASH, reason="bounce")]
    assert parsed.refused == [
        Refusal(1, "reason", "it has 0 characters, 1 to 256 are taken"),
        Refusal(2, "email", "is no e-mail address"),
        Refusal(3, "reason", "missing"),
        Refusal(4, "", "a number was sent where an object belongs"),
    ]


@pytest.mark.parametrize(("parse_it", "item"), [(parse, GRANT), (suppress, BOUNCE)])
def test_a_request_has_its_limits(parse_it, item):
    with pytest.raises(InvalidInput, match="2,501 items") as caught:
        parse_it(*([1] * (LIMITS.request_items + 1)))
    assert caught.value.code == "ingest.too_many"
    with pytest.raises(InvalidInput) as caught:
        parse_it(item, limits=Limits(request_bytes=20))
    assert caught.value.code == "ingest.too_large"
    assert parse_it().refused == []


@settings(max_examples=80, deadline=None)
@given(
    body=st.binary(max_size=80)
    | st.lists(st.dictionaries(st.sampled_from([*GRANT, "at", "x"]), st.none() | st.booleans() | st.text())).map(
        lambda each: json.dumps({"consents": each, "suppressions": each}).encode()
    )
)
def test_anything_gives_rows_refusals_or_one_error(body):
    for parse_it in (
        lambda: parse_consents(body, hash_address=SEAL.hash_address, received_at=NOW),
        lambda: parse_suppressions(body, hash_address=SEAL.hash_address),
    ):
        try:
            parsed = parse_it()
        except MailwrightError:
            continue
        assert all(each.reason for each in parsed.refused)
