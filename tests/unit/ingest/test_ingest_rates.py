"""Money in one currency: what is told of a currency is never lost, and rates of exchange are declared, dated, exact."""

import json
from datetime import date
from fractions import Fraction
from itertools import count
from unittest import mock
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import parse_iso
from mailwright.ingest import segment
from mailwright.ingest.hooks import Declined
from mailwright.ingest.normalise.faults import Unfit
from mailwright.ingest.normalise.normaliser import Normaliser
from mailwright.ingest.normalise.rates import MOST_LINES, Rates, read_rates
from mailwright.ingest.plan import TrackingPlan
from mailwright.ingest.schema import ProfileSchema
from mailwright.ingest.segment import IngestRules, Source, parse_request
from mailwright.privacy import KeyRing, Sealer
from mailwright.runtime.project.load import load_project
from mailwright.runtime.project.versions import _differences

SEAL = Sealer(KeyRing.generate())
NOW = parse_iso("2026-11-20T12:00:00Z")
FILE = """\
day,currency,rate
2026-11-01,USD,0.9
# what the bank said
2026-11-18,USD,0.8
2026-11-18,GBP,1.25
2026-11-18,JPY,0.006
"""
IN_EUROS = {"normalise": "money", "currency": "EUR", "currency_from": "currency"}
PROFILE = {
    "properties": {
        "total": IN_EUROS,
        "tax": {**IN_EUROS, "on_fault": "drop"},
        "deposit": {**IN_EUROS, "on_fault": "refuse"},
        "paid": {"normalise": "money", "currency_from": "paid_in"},
        "products": {"items": {"fields": {"price": IN_EUROS}}},
    },
    "traits": {"spent": {"normalise": "money", "currency": "EUR", "policy": "personal"}},
    "sources": {"cents": {"units": {"total": "minor"}}},
}


def rates(text=FILE, **more):
    days, issues = read_rates(text, "EUR")
    assert issues == []
    return Rates(currency="EUR", days=days, **more)


def normaliser(known=None, **changes):
    schema = msgspec.convert({**PROFILE, **changes}, ProfileSchema)
    assert list(schema.faults()) == []
    return Normaliser(schema, rates=known or rates())


def kept(sent, source="shop", at=NOW, made=None):
    told = []
    found = (made or normaliser()).properties(source, "E", sent, lambda *word: told.append(word), None, at)
    return found, told


# --- what is told is not lost ---


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ({"paid": "12.50 £"}, {"paid": 12.5, "paid_in": "GBP"}),
        ({"paid": {"amount": 5, "currency": "usd"}}, {"paid": 5, "paid_in": "USD"}),
        ({"paid": "12.50 £", "paid_in": ""}, {"paid": 12.5, "paid_in": "GBP"}),
        ({"paid": "12.50 £", "paid_in": "GBP"}, {"paid": 12.5, "paid_in": "GBP"}),
        ({"paid": 12.5, "paid_in": "GBP"}, {"paid": 12.5, "paid_in": "GBP"}),
    ],
)
def test_a_currency_that_the_amount_tells_stands_beside_it(sent, wanted):
    assert kept(sent) == (wanted, [])


@pytest.mark.parametrize(
    "sent", [{"paid": "12.50 £", "paid_in": "USD"}, {"total": {"amount": 5, "currency": "GBP"}, "currency": "USD"}]
)
def test_two_currencies_of_one_amount_are_a_fault(sent):
    made, ((place, why),) = kept(sent)
    assert made == sent
    assert place == f"properties.{next(iter(sent))}"
    assert "names two currencies, USD and GBP" in why


def test_without_any_currency_the_declared_one_holds_and_else_it_is_told():
    assert kept({"total": 19.99}) == ({"total": 19.99}, [])
    assert kept({"paid": 5}) == ({"paid": 5}, [("properties.paid", "kept as sent: nothing tells its currency")])


def test_an_amount_in_another_currency_than_those_beside_it_is_not_counted_with_them():
    both = {"total": {"normalise": "money", "currency_from": "currency"}}
    both |= {"tax": both["total"], "fees": {"type": "list", "items": both["total"]}}
    made, told = kept({"total": "12.50 £", "tax": "5 USD", "fees": ["1 £"]}, made=normaliser(properties=both))
    taxed = {"tax_original": 5, "tax_original_currency": "USD"}
    assert made == {"total": 12.5, "fees": [1], "currency": "GBP", **taxed}
    why = "left out, and kept as tax_original: its currency is not that of the amounts beside it"
    assert told == [("properties.tax", why)]


def test_an_undeclared_amount_beside_an_exchanged_one_is_told():
    sent = {"total": 10, "shipping": 5, "quantity": 2, "discount": "3", "currency": "USD"}
    made, told = kept(sent)
    assert (made["total"], made["currency"], made["shipping"]) == (8, "EUR", 5)
    assert told == [
        ("properties.shipping", "kept as sent, in the currency that was sent: it is not declared as money"),
    ]
    for untouched in ({"currency": "EUR"}, {}, {"currency": "CHF"}):
        assert not [each for each in kept({**sent, "currency": "", **untouched})[1] if "shipping" in each[0]]


# --- exchange ---


def was(amount, currency):
    return {"total_original": amount, "total_original_currency": currency}


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ({"total": 19.99, "currency": "USD"}, {"total": 15.99, "currency": "EUR", **was(19.99, "USD")}),
        ({"currency": "usd", "total": 19.99}, {"total": 15.99, "currency": "EUR", **was(19.99, "USD")}),
        ({"total": "12.50 £"}, {"total": 15.62, "currency": "EUR", **was(12.5, "GBP")}),
        ({"total": "1,250 ¥", "currency": "JPY"}, {"total": 7.5, "currency": "EUR", **was(1250, "JPY")}),
        ({"total": 19.99, "currency": "EUR"}, {"total": 19.99, "currency": "EUR"}),
        ({"total": -5, "currency": "USD"}, {"total": -4, "currency": "EUR", **was(-5, "USD")}),
    ],
)  # fmt: skip
def test_what_comes_in_another_currency_is_exchanged_and_what_was_sent_stays_beside(sent, wanted):
    assert kept(sent) == (wanted, [])


def test_each_amount_around_one_currency_is_exchanged_from_it():
    sent = {"total": 10, "tax": 5, "currency": "USD", "products": [{"price": 2}, {"price": 3, "currency": "GBP"}, {}]}
    made, told = kept(sent)
    assert told == []
    assert (made["total"], made["tax"], made["currency"]) == (8, 4, "EUR")
    assert made["products"] == [
        {"price": 1.6, "currency": "EUR", "price_original": 2, "price_original_currency": "USD"},
        {"price": 3.75, "currency": "EUR", "price_original": 3, "price_original_currency": "GBP"},
        {},
    ]
    assert sent["currency"] == "USD"


def test_minor_units_are_those_of_the_currency_that_was_sent():
    made, _ = kept({"total": 1250, "currency": "JPY"}, source="cents")
    assert (made["total"], made["total_original"]) == (7.5, 1250)
    made, _ = kept({"total": 1250, "currency": "USD"}, source="cents")
    assert (made["total"], made["total_original"]) == (10, 12.5)


def test_an_exchange_is_exact_and_rounds_half_to_even():
    known = rates("day,currency,rate\n2026-11-20,USD,0.5\n")
    for sent, wanted in ((0.01, 0), (0.03, 0.02), (0.05, 0.02), (2.01, 1), (-0.03, -0.02)):
        assert kept({"total": sent, "currency": "USD"}, made=normaliser(known))[0]["total"] == wanted


@pytest.mark.parametrize(
    ("at", "wanted"),
    [
        ("2026-11-18T00:00:00Z", 8),
        ("2026-11-17T23:59:59Z", None),  # the rate before is 16 days old
        ("2026-11-08T23:00:00Z", 9),
        ("2026-11-09T00:00:00Z", None),
        ("2026-10-31T23:59:59Z", None),
        ("2026-11-25T12:00:00Z", 8),
        ("2026-11-26T00:00:00Z", None),
    ],
)
def test_the_latest_rate_of_the_day_or_before_counts_up_to_its_age(at, wanted):
    made, told = kept({"total": 10, "currency": "USD"}, at=parse_iso(at))
    assert made.get("total") == wanted
    assert bool(told) == (wanted is None)


def test_the_day_is_the_shops():
    schema = msgspec.convert(PROFILE, ProfileSchema)
    tokyo = Normaliser(schema, ZoneInfo("Asia/Tokyo"), rates(max_age_days=0))
    made, _ = kept({"total": 10, "currency": "USD"}, made=tokyo, at=parse_iso("2026-11-17T15:00:00Z"))
    assert made["total"] == 8


def test_other_currencies_than_the_shops_go_over_it():
    assert rates().exchange("USD", "GBP", date(2026, 11, 18)) == Fraction(8, 10) / Fraction(125, 100)
    assert rates().exchange("EUR", "USD", date(2026, 11, 18)) == Fraction(10, 8)
    with pytest.raises(Unfit, match="no rate of CHF"):
        rates().exchange("CHF", "EUR", date(2026, 11, 18))


def test_without_a_rate_an_amount_is_not_kept_under_its_name():
    made, told = kept({"total": 10, "currency": "CHF"})
    assert made == {"currency": "CHF", **was(10, "CHF")}
    assert told == [
        (
            "properties.total",
            "left out, and kept as total_original: it is in CHF, not in EUR, and there is no rate of CHF in rates.csv",
        )
    ]
    assert kept({"tax": 10, "currency": "CHF"})[0] == {"currency": "CHF"}
    made, told = kept({"total": 10, "currency": "fish"})
    assert made == {"currency": "fish", "total_original": 10}
    assert "currency beside it cannot be read" in told[0][1]
    assert kept({"total": 10, "currency": "USD"}, at=None)[0] == {
        **was(10, "USD"),
        "currency": "USD",
    }


def test_an_amount_that_is_refused_without_a_rate_ends_its_call():
    call = {"userId": "u", "event": "E", "properties": {"deposit": 1, "currency": "CHF"}}
    found = parsed([call])
    assert found.events == []
    assert "no rate of CHF" in found.refused[0].reason


# --- the door ---


def parsed(calls, plan=None, keeps_held=False, quick=True):
    body = json.dumps({"batch": [{"type": "track", "messageId": f"m{n}", **call} for n, call in enumerate(calls)]})
    numbers = count()
    with mock.patch.object(segment, "QuickDoor", segment.QuickDoor if quick else NoQuickDoor):
        return parse_request(
            "batch",
            body.encode(),
            IngestRules(sealer=SEAL, normaliser=normaliser(), plan=plan or TrackingPlan()),
            source=Source("shop", "server"),
            received_at=NOW,
            new_id=lambda: f"id{next(numbers)}",
            keeps_held=keeps_held,
        )


class NoQuickDoor:
    def __init__(self, reading):
        pass

    def event(self, raw, path_type):
        return None


def test_a_late_event_is_exchanged_by_its_own_day():
    call = {"userId": "u", "event": "E", "properties": {"total": 10, "currency": "USD"}}
    found = parsed([call, {**call, "timestamp": "2026-11-03T09:00:00Z"}])
    assert [event.properties["total"] for event in found.events] == [8, 9]
    traits = {"type": "identify", "userId": "u", "timestamp": "2026-11-03T09:00:00Z", "traits": {"spent": "$10.00 USD"}}
    (event,) = parsed([{**traits, "traits": {"spent": {"amount": 10, "currency": "USD"}}}]).events
    assert {name for name, value in event.traits.items() if isinstance(value, dict)} == {"spent", "spent_original"}


def test_a_closed_plan_knows_what_stands_beside_and_holds_back_what_has_no_rate():
    schema = {"properties": {"total": {"type": "number"}, "currency": {}}, "additionalProperties": False}
    short = {"properties": {"total": "number", "currency": "text"}, "required": ["total"], "unknown": "block"}
    events = {"E": short, "S": {"schema": schema}}
    plan = msgspec.convert({"events": events, "violation": "quarantine"}, TrackingPlan)
    calls = [{"userId": "u", "event": name, "properties": {"total": 10, "currency": "USD"}} for name in "ES"]
    found = parsed(calls, plan)
    assert [event.properties["total_original"] for event in found.events] == [10, 10]
    assert (found.warned, found.refused) == ([], [])
    held = parsed(
        [{"userId": "u", "event": "E", "properties": {"total": 10, "currency": "CHF"}}], plan, keeps_held=True
    )
    assert [one.event for one in held.held] == ["E"]
    stranger = {"userId": "u", "event": "E", "properties": {"total": 1, "fee_original": 2}}
    assert parsed([stranger], plan).refused


def test_only_we_write_what_stands_beside_an_amount():
    events = {"E": {"properties": {"email": "text", "total": "number", "currency": "text"}, "unknown": "block"}}
    plan = msgspec.convert({"events": events}, TrackingPlan)
    for sent in ({"email_original": {"a": "bob@x.example"}}, {"email_original_currency": "bob@x.example"}):
        assert plan.check_event("E", sent)
        assert not plan.fits("E", sent, frozenset({"total"}))
        assert parsed([{"userId": "u", "event": "E", "properties": sent}], plan).refused
    stray = {"total_original": {"a": "bob@x.example"}, "total_original_currency": "bob@x.example"}
    assert plan.check_event("E", stray), "without a profile no field is kept beside"
    found = parsed([{"userId": "u", "event": "E", "properties": {**stray, "total": 1}}], plan)
    assert [event.properties for event in found.events] == [{"total": 1}]
    assert {one.field for one in found.warned} == {"properties.total_original", "properties.total_original_currency"}
    assert kept({**stray, "total": 10, "currency": "USD"})[0] == {"total": 8, "currency": "EUR", **was(10, "USD")}
    assert kept({"products": [{"price_original": "bob"}]})[0] == {"products": [{}]}
    told = []
    traits = normaliser().traits("s", {"spent_original": "bob", "a": 1}, lambda *word: told.append(word))
    assert (traits, len(told)) == ({"a": 1}, 1)


def test_a_refusal_says_why_the_value_is_not_what_the_plan_wants():
    plan = msgspec.convert({"events": {"E": {"properties": {"total": "number"}, "required": ["total"]}}}, TrackingPlan)
    calls = [{"userId": "u", "event": "E", "properties": {"total": total}} for total in ("10,00 €", "5 CHF")]
    found = parsed(calls, plan)
    assert [one.field for one in found.refused] == ["properties.total", "properties.total"]
    why = "a text of 5 characters is no number (a decimal point is expected)"
    assert found.refused[0].reason == f'{why}; so "10,00 €" is no number'
    assert "no rate of CHF" in found.refused[1].reason
    assert "so required by the tracking plan, but missing" in found.refused[1].reason
    assert "10,00" not in found.violations[0].reason


def test_an_id_that_names_nobody_is_not_called_missing():
    rules = load_project({"identity.yaml": "kinds: {user_id: {blocked: [house]}}\n"}).ingest_rules(SEAL)
    for sent, told in (
        ({"userId": "House"}, "what userId says is a placeholder, or blocked"),
        ({"anonymousId": "null"}, "what anonymousId says"),
        ({}, "send userId"),
    ):
        found = parse_request(
            "track",
            json.dumps({"event": "E", **sent}).encode(),
            rules,
            source=Source("shop", "server"),
            received_at=NOW,
            new_id=lambda: "id",
        )
        assert told in found.refused[0].reason


amounts = st.one_of(
    st.sampled_from(["12.50 £", "$3", "1 250,00", "- 5", "x", None, True, [], {"amount": 5, "currency": "USD"}]),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
)
parts = st.fixed_dictionaries(
    {},
    optional={
        "total": amounts,
        "tax": amounts,
        "deposit": amounts,
        "paid": amounts,
        "currency": st.sampled_from(["USD", "usd", "EUR", "CHF", "", "$", "fish", 5, None]),
        "paid_in": st.sampled_from(["GBP", "", "kr"]),
        "products": st.lists(
            st.fixed_dictionaries({}, optional={"price": amounts, "currency": st.sampled_from(["GBP", ""])})
        ),
    },
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(parts, max_size=4), st.sampled_from([None, "2026-11-03T09:00:00Z", "2026-11-10T09:00:00Z"]))
def test_the_short_way_through_the_door_exchanges_as_the_long_one(sent, at):
    calls = [{"userId": "u", "event": "E", "properties": each, "timestamp": at} for each in sent]
    assert parsed(calls) == parsed(calls, quick=False)


@settings(max_examples=300, deadline=None)
@given(parts)
def test_whatever_is_sent_no_number_under_a_declared_name_is_in_another_currency(sent):
    try:
        made, _ = kept(sent)
    except Declined:
        return
    assert made == kept(dict(reversed(sent.items())))[0]
    if isinstance(made.get("total"), int | float) and not isinstance(made["total"], bool):
        assert made.get("currency", "EUR") in ("EUR", "", None)


# --- the file ---


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "rates.csv:1:1: the first line names the columns"),
        ("day;currency;rate\n", "rates.csv:1:1: the first line names the columns"),
        ("day,currency,rate\n2026-11-20,USD\n", "rates.csv:2:1: 2 values where there are three columns"),
        ("day,currency,rate\n20.11.2026,USD,1\n", "rates.csv:2:1: '20.11.2026' is no day"),
        ("day,currency,rate\n2026-02-30,USD,1\n", "rates.csv:2:1: '2026-02-30' is no day"),
        ("day,currency,rate\n\n2026-11-20,USB,1\n", "rates.csv:3:12: 'USB' is no ISO 4217 code"),
        ("day,currency,rate\n2026-11-20,EUR,1\n", "rates.csv:2:12: EUR is the shop's own currency"),
        ("day,currency,rate\n2026-11-20,USD,0\n", "rates.csv:2:16: '0' is no rate"),
        ("day,currency,rate\n2026-11-20,USD,-1\n", "rates.csv:2:16: '-1' is no rate"),
        ("day,currency,rate\n2026-11-20,USD,1e3\n", "rates.csv:2:16: '1e3' is no rate"),
        (
            "day,currency,rate\n2026-11-20,USD,1\n2026-11-20, USD ,2\n",
            "rates.csv:3:1: USD has a rate of 2026-11-20 in line 2",
        ),
    ],
)  # fmt: skip
def test_a_fault_of_the_file_is_told_with_line_and_caret(text, told):
    with pytest.raises(InvalidInput) as raised:
        load_project({"rates.csv": text, "mailwright.toml": '[project]\ncurrency = "EUR"\n'})
    assert told in str(raised.value)
    if text.strip():
        assert "^" in str(raised.value)


def test_a_file_may_be_large_but_not_endless():
    lines = "2026-11-20,USD,1\n" * MOST_LINES
    _, issues = read_rates("day,currency,rate\n" + lines, "EUR")
    assert "more than 100,000 lines" in issues[0].message


def test_the_project_takes_the_file_and_says_what_lacks_and_what_changed():
    profile = json.dumps({**PROFILE, "rates": {"max_age_days": 2}})
    files = {"profile.yaml": profile, "mailwright.toml": '[project]\ncurrency = "EUR"\n'}
    assert "there is no rates.csv" in str(load_project(files).warnings[0])
    project = load_project(files | {"rates.csv": FILE})
    assert (project.warnings, project.rates.max_age_days, project.rates.currency) == ((), 2, "EUR")
    changed = _differences(
        files | {"rates.csv": FILE}, files | {"rates.csv": FILE + "2026-11-19,GBP,1.2\n2026-11-19,CHF,1\n"}
    )
    assert [(one.file, one.name, one.how) for one in changed] == [
        ("rates.csv", "CHF", "added"),
        ("rates.csv", "GBP", "changed"),
    ]


def test_rules_may_name_what_was_sent_though_the_plan_is_closed():
    plan = "events: {Order Completed: {properties: {total: number, currency: text}, unknown: block}}\n"
    rule = "sum of 'Order Completed'.total_original where total_original_currency = 'USD'"
    files = {
        "profile.yaml": json.dumps(PROFILE),
        "tracking-plan.yaml": plan,
        "rates.csv": FILE,
        "mailwright.toml": '[project]\ncurrency = "EUR"\n',
        "attributes.yaml": json.dumps({"in_dollars": {"title": "x", "value": rule}}),
    }
    assert "in_dollars" in load_project(files).expressions
