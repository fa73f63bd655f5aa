"""Three sources with other formats, units and names become one table; whatever cannot is told."""

import json
from itertools import count
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.instants import parse_iso
from mailwright.ingest import segment
from mailwright.ingest.normalise.normaliser import Normaliser
from mailwright.ingest.plan import TrackingPlan
from mailwright.ingest.schema import ProfileSchema
from mailwright.ingest.segment import IngestRules, Source, parse_request
from mailwright.privacy import KeyRing, Sealer

SEAL = Sealer(KeyRing.generate())
NOW = parse_iso("2026-05-01T12:00:00Z")


def schema(**parts):
    made = msgspec.convert(parts, ProfileSchema)
    assert list(made.faults()) == []
    return made


SHOP = schema(
    defaults={"country": "DE", "time_zone": "Europe/Berlin"},
    traits={
        "firstName": {"aliases": ["first_name"], "policy": "personal"},
        "email": {"normalise": "email", "aliases": ["E-Mail", "mail"]},
        "phone": {"normalise": "phone", "country_from": "nation"},
        "birthday": {"type": "date"},
        "signedUpAt": {"type": "instant"},
        "height": {"unit": "cm"},
        "spent": {"normalise": "money", "currency": "EUR"},
        "newsletter": {"type": "boolean"},
        "language": {"normalise": "language"},
        "nation": {"normalise": "country"},
        "address": {"normalise": "address"},
        "interests": {"separator": ";"},
        "crm_no": {"index": True},
        "pin": {"policy": "secret"},
        "religion": {"policy": "sensitive"},
        "strict": {"type": "number", "on_fault": "refuse"},
        "loose": {"type": "number", "on_fault": "drop"},
    },
    properties={
        "total": {"normalise": "money", "currency_from": "currency"},
        "weight": {"unit": "kg"},
        "products": {"items": {"fields": {"price": {"type": "number"}, "sku": {}}}},
        "card": {"policy": "secret"},
        "note": {"policy": "personal"},
    },
    sources={
        "crm": {
            "names": {
                "Vorname": "firstName",
                "Telefon": "phone",
                "Geburtstag": "birthday",
                "Groesse": "height",
                "Umsatz": "spent",
                "Newsletter": "newsletter",
                "Sprache": "language",
                "Angelegt": "signedUpAt",
                "Strasse": "address.street",
                "PLZ": "address.postalCode",
                "Ort": "address.city",
                "Land": "address.country",
                "Nr": "crm_no",
            },
            "dates": ["DD.MM.YYYY", "DD.MM.YYYY HH:mm"],
            "decimal": "comma",
        },
        "analytics": {"units": {"height": "in", "spent": "minor", "weight": "g"}, "dates": ["unix_ms"]},
        "append": {"dates": ["MM/DD/YYYY", "MM/DD/YYYY hh:mm A"], "time_zone": "America/New_York", "country": "US"},
    },
)
NORMALISER = Normaliser(SHOP)


def traits(source, sent, normaliser=NORMALISER, zone=None):
    told = []
    made = normaliser.traits(source, sent, lambda *word: told.append(word), zone)
    return made, told


def test_three_sources_with_other_names_units_and_formats_become_one_table():
    crm, told_crm = traits(
        "crm",
        {
            "Vorname": "  Zoë",
            "E-Mail": "Zoe.Miller@BÜRO.example",
            "Telefon": "0171 / 123 45 67",
            "Geburtstag": "03.05.1990",
            "Groesse": "170,18 cm",
            "Umsatz": "1.234,50 €",
            "Newsletter": "Ja",
            "Sprache": "Deutsch",
            "Angelegt": "01.07.2026 14:30",
            "Strasse": " Hauptstr.  1 ",
            "PLZ": "D-01067",
            "Ort": "Dresden",
            "Land": "Deutschland",
            "Nr": 4711,
        },
    )
    analytics, told_analytics = traits(
        "analytics",
        {
            "first_name": "Zoë",
            "email": "Zoe.Miller@xn--bro-hoa.example",
            "phone": "+49 171 1234567",
            "birthday": "1990-05-03",
            "height": 67,
            "spent": 123450,
            "newsletter": 1,
            "language": "de_DE",
            "signedUpAt": 1782909000000,
            "crm_no": "4711",
            "address": {"street": "Hauptstr. 1", "zip": 1067, "town": "Dresden", "country": "DEU"},
        },
    )
    third, told_third = traits(
        "append",
        {
            "firstName": "Zoë",
            "mail": "Zoe.Miller@büro.EXAMPLE",
            "phone": "0049-171-1234567",
            "birthday": "05/03/1990",
            "height": "5.58 ft",
            "spent": 1234.5,
            "newsletter": "yes",
            "language": "German",
            "signedUpAt": "07/01/2026 08:30 AM",
            "crm_no": 4711.0,
            "address": {"street": "Hauptstr. 1", "postal_code": "01067", "city": "Dresden", "country": "Germany"},
        },
    )
    assert told_crm == told_analytics == told_third == []
    table = {
        "firstName": "Zoë",
        "email": "Zoe.Miller@xn--bro-hoa.example",
        "phone": "+491711234567",
        "birthday": "1990-05-03",
        "height": 170.18,
        "spent": 1234.5,
        "newsletter": True,
        "language": "de",
        "signedUpAt": "2026-07-01T12:30:00Z",
        "crm_no": "4711",
        "address": {"street": "Hauptstr. 1", "postalCode": "01067", "city": "Dresden", "country": "DE"},
    }
    assert crm == table
    assert analytics == table | {"language": "de-DE"}
    assert third == table | {"height": pytest.approx(170.0784)}


def test_a_time_without_offset_is_the_senders_by_source_then_call_then_project():
    for source, zone, wanted in [
        ("append", "Asia/Tokyo", "2026-07-01T12:30:00Z"),  # the source's own zone is declared
        ("web", "Asia/Tokyo", "2026-06-30T23:30:00Z"),
        ("web", "no/zone", "2026-07-01T06:30:00Z"),
        ("web", 7, "2026-07-01T06:30:00Z"),
    ]:
        assert traits(source, {"signedUpAt": "2026-07-01T08:30"}, zone=zone)[0] == {"signedUpAt": wanted}
    assert traits("append", {"birthday": "1990-05-03T02:00:00Z"})[0] == {"birthday": "1990-05-02"}
    plain = Normaliser(schema(traits={"birthday": {"type": "date"}}))
    assert traits("x", {"birthday": "1990-05-03T00:00:00+02:00"}, plain)[0] == {"birthday": "1990-05-03"}


def test_what_cannot_be_normalised_is_kept_dropped_or_refuses_and_its_value_is_never_told():
    made, told = traits("web", {"birthday": "vorgestern abend", "loose": "viel", "other": [1], "height": None})
    assert made == {"birthday": "vorgestern abend", "other": [1], "height": None}
    assert [place for place, _ in told] == ["traits.birthday", "traits.loose"]
    assert told[0][1].startswith("kept as sent: ")
    assert told[1][1].startswith("left out: ")
    assert "vorgestern" not in repr(told)
    assert "viel" not in repr(told)
    parsed = parse("batch", {"batch": [call(strict="much"), call(strict="1e3")]})
    (refused,) = parsed.refused
    assert (refused.index, refused.field) == (0, "traits.strict")
    (event,) = parsed.events
    assert event.traits["strict"] == 1000


def test_of_two_names_for_one_trait_our_own_wins_and_the_other_is_told():
    made, told = traits(
        "crm", {"Vorname": "Anna", "firstName": "Ana", "PLZ": "10115", "address": {"postalCode": "10117"}}
    )
    assert made["firstName"] == "Ana"
    assert made["address"] == {"postalCode": "10117"}
    assert [place for place, _ in told] == ["traits.Vorname", "traits.PLZ"]
    assert traits("crm", {"Vorname": "Ana", "firstName": "Ana"})[1] == []
    assert traits("crm", {"PLZ": "10115", "address": "somewhere"})[1] != []
    assert traits("crm", {"Vorname": None}) == ({"firstName": None}, [])


def call(**sent):
    return {"type": "identify", "userId": "u1", "messageId": "m1", "traits": sent}


def parse(path, body, source="web", keeps_held=False, **options):
    ids = count(1)
    rules = IngestRules(**{"sealer": SEAL, "normaliser": NORMALISER, **options})
    return parse_request(
        path,
        json.dumps(body).encode(),
        rules,
        source=Source(source),
        received_at=NOW,
        new_id=lambda: f"new-{next(ids)}",
        keeps_held=keeps_held,
    )


def test_three_spellings_of_a_phone_and_of_an_address_are_one_identifier_and_old_hashes_stay_valid():
    spelled = ["0171 1234567", "+49 (0)171 1234567", "0049171-1234567", "+491711234567"]
    events = [parse("identify", call(phone=each)).events[0] for each in spelled]
    assert {tuple(event.identifiers) for event in events} == {tuple(events[0].identifiers)}
    assert events[0].identifiers[1].value == SEAL.hash("phone", "+491711234567")
    assert {event.traits["phone"]["hash"] for event in events} == {events[0].identifiers[1].value}
    addresses = ["Ada@büro.example", "ada@xn--bro-hoa.EXAMPLE", " Ada <ADA@Büro.example>"]
    events = [parse("identify", call(email=each)).events[0] for each in addresses]
    assert {event.identifiers[1].value for event in events} == {SEAL.hash("email", "ada@xn--bro-hoa.example")}
    # Looked up, and named beside another call, a number means the same.
    asked = NORMALISER.sealing(SEAL)
    assert asked.hash("phone", "0171 1234567") == SEAL.hash("phone", "+491711234567")
    track = {"event": "Viewed", "userId": "u1", "context": {"traits": {"phone": "0171 1234567"}}}
    (event,) = parse("track", track).events
    assert event.identifiers[1].value == asked.hash("phone", "+491711234567")


def test_dots_and_plus_of_an_address_are_left_alone():
    hashes = {
        NORMALISER.sealing(SEAL).hash("email", each) for each in ("a.b@x.example", "ab@x.example", "ab+c@x.example")
    }
    assert len(hashes) == 3


def test_a_secret_is_told_and_nowhere_and_what_is_personal_or_sensitive_is_sealed():
    body = {
        "batch": [
            call(pin="canary-1", religion="canary-2", firstName="canary-3"),
            {
                "type": "track",
                "event": "Paid",
                "userId": "u1",
                "messageId": "m2",
                "properties": {"card": "canary-4", "note": "canary-5", "total": "5 EUR"},
                "context": {"traits": {"pin": "canary-6", "religion": "canary-7"}},
            },
            {
                "type": "group",
                "groupId": "g",
                "userId": "u1",
                "messageId": "m3",
                "context": {"traits": {"religion": "canary-8"}},
            },
        ]
    }
    parsed = parse("batch", body)
    assert len(parsed.events) == 3
    assert "canary" not in msgspec.json.encode([parsed.events, parsed.warned]).decode()
    identify, track, _ = parsed.events
    assert SEAL.unseal(identify.traits["religion"]) == "canary-2"
    assert SEAL.unseal(track.properties["note"]) == "canary-5"
    assert [(warned.index, warned.field) for warned in parsed.warned] == [
        (0, "traits.pin"),
        (1, "traits.pin"),
        (1, "properties.card"),
    ]


def test_what_is_held_back_by_the_plan_holds_no_secret_either():
    deep = schema(
        traits={"login": {"fields": {"pin": {"policy": "secret", "aliases": ["PIN"]}}}, "pin": {"policy": "secret"}},
        properties={"cards": {"items": {"fields": {"no": {"policy": "secret"}}}}},
        sources={"crm": {"names": {"Geheim": "pin", "G2": "login.pin"}}},
    )
    plan = msgspec.convert({"unknown_events": "quarantine"}, TrackingPlan)
    sent = {
        "type": "track",
        "event": "Paid",
        "userId": "u1",
        "properties": {"cards": [{"no": "canary", "kind": "visa"}]},
        "context": {"traits": {"Geheim": "canary", "G2": "canary", "login": {"PIN": "canary", "at": 1}, "x": 1}},
    }
    parsed = parse("track", sent, "crm", normaliser=Normaliser(deep), plan=plan, keeps_held=True)
    (held,) = parsed.held
    assert b"canary" not in held.body
    assert json.loads(held.body)["context"]["traits"] == {"login": {"at": 1}, "x": 1}
    assert json.loads(held.body)["properties"] == {"cards": [{"kind": "visa"}]}


def long_way(path, body, **options):
    with mock.patch.object(segment, "QuickDoor", return_value=mock.Mock(event=lambda raw, path_type: None)):
        return parse(path, body, **options)


def opened(value):
    if SEAL.is_sealed(value):
        return "sealed", SEAL.unseal(value), value["hash"]
    if isinstance(value, dict):
        return {key: opened(each) for key, each in value.items()}
    return [opened(each) for each in value] if isinstance(value, list) else value


texts = st.sampled_from(
    [
        "12,5",
        "1.234,56 €",
        "12 kg",
        "03.05.1990",
        "1e400",
        "ja",
        "DE",
        "Deutschland",
        "",
        " ",
        "0171 1234567",
        "x@y.example",
        "9" * 400,
        "10115",
        "€",
        "5 lb",
        "\u0000",
        "ﬁ",
        "-",
        "1782909000000",
        "9999-12-31T23:59:59-12:00",
    ]
) | st.text(max_size=12)
plain = texts | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True, allow_infinity=True)
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["amount", "currency", "country", "zip", "street", "price", "a"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
names = sorted({*SHOP.traits, *SHOP.properties, "Vorname", "PLZ", "Strasse", "mail", "currency", "other"})
objects = st.dictionaries(st.sampled_from(names), values, max_size=6)
sources = st.sampled_from(["crm", "analytics", "append", "web"])


@settings(max_examples=150, deadline=None)
@given(objects, sources)
def test_nothing_raises_changes_what_was_sent_or_happens_in_silence(sent, source):
    sent = {name: value for name, value in sent.items() if name != "strict"}
    before = json.dumps(sent, sort_keys=True)
    told = []
    made = NORMALISER.traits(source, sent, lambda *word: told.append(word))
    assert NORMALISER.account_traits(source, sent, lambda *word: told.append(word)) == sent or "nan" in repr(sent)
    told_of_properties = []
    paid = NORMALISER.properties(source, "Paid", sent, lambda *word: told_of_properties.append(word))
    assert json.dumps(sent, sort_keys=True) == before
    renamed = {"Vorname", "PLZ", "Strasse", "mail"}
    assert {place.split(".")[1] for place, _ in told} >= set(sent) - set(made) - renamed
    assert {place.split(".")[1] for place, _ in told_of_properties} >= set(sent) - set(paid)


@settings(max_examples=150, deadline=None)
@given(objects, sources)
def test_what_is_normalised_once_stays_as_it_is(sent, source):
    sent = {name: value for name, value in sent.items() if name not in ("strict", "pin", "card")}
    made, told = traits(source, sent)
    kept = {place.split(".")[1] for place, _ in told}
    again, _ = traits("canonical", {name: value for name, value in made.items() if name not in kept})
    assert json.dumps(again, sort_keys=True) == json.dumps(
        {k: v for k, v in made.items() if k not in kept}, sort_keys=True
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(objects, min_size=1, max_size=3), sources)
def test_the_short_way_and_the_long_way_normalise_alike(sent, source):
    body = {
        "batch": [
            {
                "type": "track",
                "event": "Paid",
                "userId": "u1",
                "messageId": f"m{place}",
                "properties": each,
                "context": {"timezone": "Asia/Tokyo"},
            }
            for place, each in enumerate(sent)
        ]
    }
    raw = json.dumps(body)
    if any(word in raw for word in ("NaN", "Infinity")):
        return
    both = [way("batch", body, source=source) for way in (parse, long_way)]
    told = [(opened(msgspec.to_builtins(list(each.events))), list(each.refused), list(each.warned)) for each in both]
    assert told[0] == told[1]


def _shared(currency):
    return {"normalise": "money", "currency": currency, "currency_from": "currency"}


@pytest.mark.parametrize(
    ("parts", "at", "said"),
    [
        ({"traits": {"h": {"unit": "cmm"}}}, ("traits", "h", "unit"), "no unit"),
        ({"traits": {"h": {"normalise": "money", "type": "text"}}}, ("traits", "h", "type"), "gives number"),
        ({"traits": {"h": {"normalise": "money", "currency": "EURO"}}}, ("traits", "h", "currency"), "ISO 4217"),
        ({"traits": {"a": {"aliases": ["b"]}, "b": {}}}, ("traits", "a", "aliases"), "already"),
        ({"traits": {"a.b": {}}}, ("traits", "a.b"), "no dot"),
        ({"traits": {"a": {"merge": "union"}}}, ("traits", "a", "merge"), "only lists"),
        ({"traits": {"a": {"type": "object", "index": True}}}, ("traits", "a", "index"), "looked up"),
        ({"traits": {"a": {"policy": "secret", "index": True}}}, ("traits", "a", "policy"), "never stored"),
        ({"traits": {"a": {"fields": {"b": {"unit": "x"}}}}}, ("traits", "a", "fields", "b", "unit"), "no unit"),
        ({"sources": {"crm": {"names": {"V": "fristName"}}}, "traits": {"firstName": {}}}, None, "declared nowhere"),
        ({"sources": {"crm": {"units": {"h": "in"}}}, "traits": {"h": {"unit": "kg"}}}, None, "cannot be made"),
        (
            {"properties": {"total": _shared("USD"), "shipping": _shared("EUR")}},
            ("properties", "shipping", "currency"),
            "'total' has the same currency_from: currency, and is kept in USD",
        ),
        (
            {"properties": {"total": _shared("USD"), "tax": _shared("")}},
            ("properties", "tax", "currency_from"),
            "'total' has the same currency_from",
        ),
        (
            {"properties": {"tax": _shared(""), "total": _shared("USD")}},
            ("properties", "total", "currency"),
            "'tax' has the same currency_from: currency, and stays in what it comes in",
        ),
        (
            {"properties": {"lines": {"items": {"fields": {"price": _shared("EUR")}}}, "total": _shared("USD")}},
            ("properties", "lines", "items", "fields", "price", "currency"),
            "'total' has the same currency_from",
        ),
        ({"sources": {"crm": {"dates": ["DD.MM"]}}}, ("sources", "crm", "dates"), "must be in it"),
        ({"defaults": {"country": "Germany"}}, ("defaults", "country"), "ISO 3166"),
        ({"defaults": {"time_zone": "Berlin"}}, ("defaults", "time_zone"), "no time zone"),
        ({"accounts": {"traits": {"p": {"policy": "personal"}}}}, ("accounts", "traits", "p", "policy"), "no person"),
    ],
)
def test_faults_of_the_schema_have_a_place(parts, at, said):
    (fault,) = msgspec.convert(parts, ProfileSchema).faults()
    assert said in fault.message
    assert at is None or fault.at == at


@pytest.mark.parametrize("kind", ["identify", "track"])
@pytest.mark.parametrize(("name", "sent"), [("email", "not an email"), ("mail", "anna@"), ("phone", "call me")])
def test_an_address_that_is_none_is_left_out_and_told_once(kind, name, sent):
    told = {name: sent, "crm_no": "1"}
    parsed = parse(kind, {"userId": "u", "event": "E", "messageId": "m", "context": {"traits": told}})
    [warning] = parsed.warned
    assert warning.reason.startswith("left out: ")
    assert " is no " in warning.reason
    [event] = parsed.events
    assert (event.traits or event.context["traits"]) == {"crm_no": "1"}


@pytest.mark.parametrize("sent", ["", "  "])
@pytest.mark.parametrize("name", ["email", "E-Mail", "phone"])
def test_an_empty_address_tells_nothing(name, sent):
    parsed = parse("identify", {"userId": "ada@shop.test", "traits": {name: sent, "crm_no": "1"}, "messageId": "m"})
    assert not parsed.warned
    assert parsed.events[0].traits == {"crm_no": "1"}
    assert [one.kind for one in parsed.events[0].identifiers] == ["user_id", "email"], "as if it were not there"


def test_what_could_be_an_address_is_kept_as_sent_and_told_so():
    parsed = parse("identify", {"userId": "u", "traits": {"email": "ada..l@shop.test"}, "messageId": "m"})
    [warning] = parsed.warned
    assert warning.reason.startswith("kept as sent: ")
    assert "email" in parsed.events[0].traits
