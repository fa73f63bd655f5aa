"""The door takes what is good, refuses the rest by place and reason, and lets no clear text of a person through."""

import json
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput, MailwrightError
from mailwright.core.events import Events, Identifier, decode_body, encode_body
from mailwright.core.instants import DAY, SECOND, Instant, parse_iso
from mailwright.ingest.definitions import EventPlan, TrackingPlan
from mailwright.ingest.limits import LIMITS, Limits, Refusal
from mailwright.ingest.segment import PATHS, IngestRules, Source, parse_request
from mailwright.privacy import KeyRing, Sealer

SEAL = Sealer(KeyRing.generate())
SHOP, BROWSER = Source("shop"), Source("web", "browser")
NOW = parse_iso("2026-05-01T12:00:00Z")
EMAIL = "anna@example.com"


def parse(path, body, **options):
    ids = count(1)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {name: options.pop(name) for name in ("plan", "limits", "normaliser", "resolve") if name in options}
    given_ = {"source": SHOP, "received_at": NOW, "new_id": lambda: f"new-{next(ids)}"}
    return parse_request(path, raw, IngestRules(sealer=SEAL, **told), **{**given_, **options})


def one(path, body, **options):
    parsed = parse(path, body, **options)
    assert [*parsed.refused, *parsed.warned] == []
    return parsed.events[0]


def refusal(path, body, **options):
    parsed = parse(path, body, **options)
    assert parsed.events == []
    return parsed.refused[0].field, parsed.refused[0].reason


def who(event):
    return [(identifier.kind, identifier.value) for identifier in event.identifiers]


HASH = SEAL.hash("email", EMAIL)

CALLS = [
    ("identify", {"userId": "u1", "traits": {"plan": "pro"}}, "identify", ""),
    ("i", {"anonymousId": "a1"}, "identify", ""),
    ("track", {"userId": "u1", "event": "Order Completed", "properties": {"total": 2.5}}, "track", "Order Completed"),
    ("t", {"userId": 17, "event": " Signed Up "}, "track", "Signed Up"),
    ("page", {"anonymousId": "a1", "name": "Home", "properties": {"url": "/"}}, "page", "Home"),
    ("p", {"anonymousId": "a1"}, "page", ""),
    ("screen", {"userId": "u1", "name": "Start"}, "screen", "Start"),
    ("group", {"userId": "u1", "groupId": "g1", "traits": {"name": "Acme"}}, "group", ""),
    ("alias", {"userId": "u1", "previousId": "a1"}, "alias", ""),
]


@pytest.mark.parametrize(("path", "body", "kind", "name"), CALLS)
def test_every_call_becomes_an_event_alone_and_in_a_batch(path, body, kind, name):
    alone = one(path, {**body, "messageId": "m1"})
    assert (alone.type, alone.name, alone.message_id, alone.source) == (kind, name, "m1", "shop")
    in_batch = one("batch", {"batch": [{**body, "messageId": "m1", "type": kind}]})
    assert in_batch == alone
    assert decode_body(encode_body(Events([alone]))) == Events([alone])


def test_what_an_event_says():
    event = one("track", {"userId": 17, "event": "Paid", "properties": {"n": 1, "x": 2.5, "ok": True, "l": [None]}})
    assert who(event) == [("user_id", "17")]
    assert event.properties == {"n": 1, "x": 2.5, "ok": True, "l": [None]}
    assert type(event.properties["n"]) is int
    assert event.message_id == "new-1"
    assert event.stamp_at == event.received_at == event.known_at == NOW
    assert one("group", CALLS[7][1]).context == {"groupId": "g1"}
    assert one("group", CALLS[7][1]).traits == {"name": "Acme"}
    assert one("page", {"userId": "u", "category": "Docs"}).properties == {"category": "Docs"}


def test_identifiers_come_in_order_of_priority_and_personal_ones_as_hashes():
    event = one(
        "identify",
        {
            "anonymousId": "a1",
            "userId": "u1",
            "traits": {"phone": "+49 30 123456", "email": " Anna@Example.com "},
            "context": {"externalIds": [{"id": "c9", "type": "crm_id", "collection": "users", "encoding": "none"}]},
        },
    )
    assert who(event) == [
        ("user_id", "u1"),
        ("email", HASH),
        ("phone", SEAL.hash("phone", "+4930123456")),
        ("anonymous_id", "a1"),
        ("crm_id", "c9"),
    ]
    assert "externalIds" not in event.context


@pytest.mark.parametrize("path", ["track", "page", "group", "alias"])
def test_context_traits_identify_in_every_call(path):
    body = {"userId": "u1", "event": "E", "groupId": "g", "previousId": "p", "context": {"traits": {"email": EMAIL}}}
    event = one(path, body)
    assert ("email", HASH) in who(event)
    assert event.traits == {}
    assert SEAL.unseal(event.context["traits"]["email"]) == EMAIL


def test_traits_of_an_identify_may_come_in_the_context():
    event = one("identify", {"userId": "u1", "context": {"traits": {"a": 1, "b": 1}}, "traits": {"b": 2}})
    assert event.traits == {"a": 1, "b": 2}
    assert event.context == {}


def test_an_address_used_as_an_id_is_hashed():
    event = one("track", {"userId": "Anna@example.com", "event": "E"})
    assert who(event) == [("user_id", SEAL.hash("user_id", "Anna@example.com")), ("email", HASH)]
    alias = one("alias", {"userId": "u1", "previousId": "Anna@example.com"})
    assert who(alias)[-1] == ("previous_id", SEAL.hash("user_id", "Anna@example.com"))


def test_no_clear_text_of_a_person_comes_through():
    body = {
        "userId": "u1",
        "event": "E",
        "traits": {"email": EMAIL, "name": "Anna Secret", "phone": "+49 30 123456", "address": {"street": "Secret 1"}},
        "properties": {"email": EMAIL, "contact": {"phone": "+49 30 123456"}},
        "context": {"ip": "10.1.2.3", "traits": {"lastName": "Secret"}},
    }
    for path in ("identify", "track", "page", "group"):
        record = encode_body(Events([one(path, {**body, "groupId": "g"}, context={"ip": "10.9.9.9"})])).decode("latin1")
        told = record.replace("Anna Secret", "", 1) if path == "group" else record  # a group's name is an account's
        assert not any(word in told for word in ("anna", "Anna", "Secret ", "30 12", "10.1.2", "10.9.9"))


def test_the_doors_own_context_gives_way_to_the_calls():
    event = one("page", {"userId": "u", "context": {"locale": "de"}}, context={"locale": "en", "userAgent": "x"})
    assert event.context == {"locale": "de", "userAgent": "x"}
    batch = {"batch": [{"type": "page", "userId": "u", "context": {"a": 1}}], "context": {"a": 0, "b": 0}}
    assert one("batch", batch).context == {"a": 1, "b": 0}


# --- a public key ----------------------------------------------------------------------------------------------------


def test_a_browser_key_names_no_address_and_merges_no_known_users():
    body = {"userId": "u1", "anonymousId": "a", "traits": {"email": EMAIL}, "previousId": "u2", "event": "E"}
    external = {**body, "context": {"externalIds": [{"id": "c9", "type": "crm_id"}]}}
    parsed = parse("identify", external, source=BROWSER)
    assert who(parsed.events[0]) == [("user_id", "u1"), ("anonymous_id", "a")]
    assert [each.field for each in parsed.warned] == ["context.externalIds"]
    identify = one("identify", body, source=BROWSER)
    assert who(identify) == [("user_id", "u1"), ("anonymous_id", "a")]
    assert set(identify.traits) == {"unverified_email"}
    assert SEAL.unseal(identify.traits["unverified_email"]) == EMAIL
    assert who(one("alias", body, source=BROWSER))[-1] == ("anonymous_id", "u2")
    assert who(one("track", {**body, "context": {"traits": {"email": EMAIL}}}, source=BROWSER)) == who(identify)
    known = one("track", {"userId": EMAIL, "event": "E"}, source=BROWSER)
    assert who(known) == [("user_id", SEAL.hash("user_id", EMAIL))]
    with pytest.raises(InvalidInput, match="server key"):
        parse("import", {"batch": []}, source=BROWSER, history=True)


# --- when ------------------------------------------------------------------------------------------------------------

T = "2026-05-01T11:00:00Z"
T_AT = parse_iso(T)


@pytest.mark.parametrize(
    ("times", "stamp"),
    [
        ({}, NOW),
        ({"timestamp": T}, T_AT),
        ({"originalTimestamp": T}, T_AT),
        ({"timestamp": "2026-05-01T13:00:00.000+02:00"}, T_AT),
        ({"timestamp": "2000-01-01T00:00:00Z", "sentAt": "2000-01-01T00:00:05Z"}, NOW - 5 * SECOND),
        ({"timestamp": "1970-01-01T00:00:00Z", "sentAt": "1970-01-01T00:01:00Z"}, NOW - 60 * SECOND),
        ({"timestamp": "2100-01-01T00:00:00Z", "sentAt": "2100-01-01T00:00:01Z"}, NOW - SECOND),
        (
            {"originalTimestamp": "2000-01-01T00:00:00Z", "timestamp": T, "sentAt": "2000-01-01T00:00:02Z"},
            NOW - 2 * SECOND,
        ),
        ({"sentAt": "2000-01-01T00:00:00Z"}, NOW),
    ],
)
def test_a_wrong_clock_cancels_out(times, stamp):
    assert one("track", {"userId": "u", "event": "E", **times}).stamp_at == stamp
    shared = {"sentAt": times["sentAt"]} if "sentAt" in times else {}
    item = {key: value for key, value in times.items() if key != "sentAt"}
    batch = {"batch": [{"type": "track", "userId": "u", "event": "E", **item}], **shared}
    assert one("batch", batch).stamp_at == stamp


def test_history_is_taken_as_stamped_and_known_since():
    body = {"userId": "u", "event": "E", "timestamp": "2017-01-01T00:00:00Z", "sentAt": "2026-01-01T00:00:00Z"}
    event = one("track", body, history=True)
    assert event.history
    assert event.stamp_at == event.known_at == parse_iso("2017-01-01T00:00:00Z")
    assert event.received_at == NOW


@pytest.mark.parametrize(
    ("times", "field"),
    [
        ({"timestamp": "1970-01-01T00:00:00Z"}, "timestamp"),
        ({"timestamp": "2100-01-01T00:00:00Z"}, "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": 1760000000}, "timestamp"),
        ({"originalTimestamp": "0001-01-01T00:00:00+14:00"}, "originalTimestamp"),
        ({"timestamp": T, "sentAt": "9999-12-31T23:59:59-14:00"}, "timestamp"),
        ({"timestamp": T, "sentAt": "soon"}, "sentAt"),
    ],
)
def test_impossible_times_are_refused(times, field):
    assert refusal("track", {"userId": "u", "event": "E", **times})[0] == field


def test_the_edge_of_the_future_is_taken():
    at = Instant(NOW + 366 * DAY)
    assert one("track", {"userId": "u", "event": "E", "timestamp": "2027-05-02T12:00:00Z"}).stamp_at == at
    assert refusal("track", {"userId": "u", "event": "E", "timestamp": "2027-05-02T12:00:00.000001Z"})[0] == "timestamp"


def test_a_batch_with_an_unreadable_sent_at_is_taken_uncorrected():
    parsed = parse("batch", {"batch": [{"type": "track", "userId": "u", "event": "E", "timestamp": T}], "sentAt": "x"})
    assert parsed.events[0].stamp_at == T_AT
    assert (parsed.warned[0].index, parsed.warned[0].field) == (-1, "sentAt")


# --- bad input -------------------------------------------------------------------------------------------------------

TRACK = '{"type":"track","userId":"u","event":"E","properties":{"x":%s}}'
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("bad", "field", "word"),
    [
        ('{"type":"track","userId":"u"}', "event", "needs the event's name"),
        ('{"type":"track","event":"E"}', "userId", "nobody"),
        ('{"type":"track","event":"E","userId":"null"}', "userId", "nobody"),
        ('{"type":"trak","userId":"u"}', "type", "did you mean 'track'"),
        ('{"userId":"u"}', "type", "missing"),
        ('{"type":"batch","userId":"u"}', "type", "no call"),
        ('{"type":"group","userId":"u"}', "groupId", "needs it"),
        ('{"type":"alias","userId":"u"}', "previousId", "needs it"),
        ('{"type":"alias","previousId":"u"}', "userId", "needs it"),
        ('{"type":"alias","userId":"u","previousId":"undefined"}', "previousId", "names nobody"),
        ('{"type":"track","userId":{},"event":"E"}', "userId", "an object was sent where"),
        (
            '{"type":"track","userId":"u","event":"E","properties":[]}',
            "properties",
            "a list was sent where an object belongs",
        ),
        ('"text"', "", "a text was sent where an object belongs"),
        ("17", "", "a number was sent where an object belongs"),
        (TRACK % "NaN", "", "NaN"),
        (TRACK % "1e999", "properties", "out of range"),
        (TRACK % r'"\ud800"', "", "surrogate"),
        (TRACK % "9223372036854775808", "", "64 bits"),
        (TRACK % "-123456789012345678901234567890", "", "64 bits"),
        (TRACK % ("[" * 32 + "]" * 32), "", "deeper than 32"),
        (TRACK % json.dumps({str(n): n for n in range(2049)}), "", "keys"),
        (TRACK % json.dumps("x" * 33_000), "", "33,0"),
        (TRACK % '{"sealed":"AA","hash":"00"}', "x", "reserved"),
        ('{"type":"track","event":"E","userId":"%s"}' % ("x" * 257), "userId", "257 characters"),
    ],
)
def test_a_bad_item_is_refused_and_its_neighbours_are_taken(bad, field, word):
    good = '{"type":"track","userId":"u","event":"Good"}'
    parsed = parse("batch", f'{{"batch":[{good},{bad},{good}],"sentAt":null}}'.encode())
    assert [event.name for event in parsed.events] == ["Good", "Good"]
    assert [(each.index, each.field) for each in parsed.refused] == [(1, field)]
    assert word in parsed.refused[0].reason


def test_bad_bytes_and_absurd_nesting_spoil_no_neighbour():
    good = b'{"type":"track","userId":"u","event":"Good"}'
    for bad in (b'{"type":"track","userId":"\xff","event":"E"}', (TRACK % DEEP).encode()):
        parsed = parse("b", b'{"context":{"a":1},"batch":[' + good + b" , " + bad + b"," + good + b"]}")
        assert [event.context for event in parsed.events] == [{"a": 1}, {"a": 1}]
        assert [each.index for each in parsed.refused] == [1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"batch":{}}',
        b'{"batch":[1,2}',
        b'{"batch":[NaN]',
        b'{"x":{"batch":[]}}',
        b"\xff",
        b"[" * 99_999,
    ],
)
def test_a_body_that_is_no_batch_is_refused_as_a_whole(body):
    with pytest.raises(InvalidInput) as caught:
        parse("batch", body)
    assert caught.value.code == "ingest.json"


def test_a_single_call_that_is_no_json_is_a_refused_item():
    assert refusal("track", b"{")[0] == ""


def test_sizes():
    item = {"type": "track", "userId": "u", "event": "E"}
    assert len(parse("batch", {"batch": [item] * 2500}).events) == 2500
    for body, code in (
        ({"batch": [item] * 2501}, "ingest.too_many"),
        ({"batch": [], "x": "x" * LIMITS.request_bytes}, "ingest.too_large"),
        ({"batch": [item] * 2500, "context": {"x": "x" * 1000}}, "ingest.context"),
        ({"batch": [item], "context": {"x": 2**70}}, "ingest.context"),
    ):
        with pytest.raises(InvalidInput) as caught:
            parse("batch", body)
        assert caught.value.code == code
    assert len(parse("batch", {"batch": [item] * 20, "context": {"x": "x" * 1000}}).events) == 20
    with pytest.raises(InvalidInput, match="did you mean 'track'"):
        parse("trak", {})


def test_an_event_of_exactly_the_limit_is_taken():
    base = len(json.dumps({"userId": "u", "event": "E", "properties": {"x": ""}}))
    fits = {"userId": "u", "event": "E", "properties": {"x": "x" * (LIMITS.event_bytes - base)}}
    assert one("track", fits).properties == fits["properties"]
    fits["properties"]["x"] += "x"
    assert "32,769 bytes" in refusal("track", fits)[1]


def test_depth_and_keys_count_up_to_the_limit():
    limits = Limits(depth=4, keys=5)
    ok = {"userId": "u", "event": "E", "properties": {"a": [[1]], "b": {}, "c": {}}}
    assert one("track", ok, limits=limits).properties["a"] == [[1]]
    assert "deeper" in refusal("track", {"userId": "u", "event": "E", "properties": {"a": [[[[]]]]}}, limits=limits)[1]


@pytest.mark.parametrize("value", ["null", "UNDEFINED", "0", "-1", " ", "00000000-0000-0000-0000-000000000000"])
def test_placeholder_ids_are_left_out_with_a_warning(value):
    parsed = parse("track", {"userId": value, "anonymousId": "a10", "event": "E"})
    assert who(parsed.events[0]) == [("anonymous_id", "a10")]
    assert [each.field for each in parsed.warned] == ([] if value == " " else ["userId"])


@pytest.mark.parametrize("value", ["1", "01", "0001", "10", "100", "-10", "nullify", "u0"])
def test_ids_that_only_look_like_placeholders_are_kept(value):
    assert who(one("track", {"userId": value, "event": "E"})) == [("user_id", value)]


def test_the_first_row_of_a_table_with_numbers_is_somebody():
    assert who(one("track", {"userId": 1, "event": "E"})) == [("user_id", "1")]
    assert refusal("track", {"userId": 0, "event": "E"})


@pytest.mark.parametrize(
    "address",
    ["anna", "anna@", "@example.com", "a b@example.com", "anna@localhost", "a@b..de", "a@-x.de", 17, ["a@b.de"]],
)
def test_a_bad_address_is_left_out_with_a_warning(address):
    parsed = parse("identify", {"userId": "u1", "traits": {"email": address, "plan": "pro"}})
    assert parsed.events[0].traits == {"plan": "pro"}
    assert who(parsed.events[0]) == [("user_id", "u1")]
    assert [(each.field, each.reason) for each in parsed.warned] == [
        ("traits.email", "left out: what was sent is no e-mail address")
    ]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (" europe/BERLIN ", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("US/Eastern", "US/Eastern"),
        ("utc", "UTC"),
        (None, None),
        ("", ""),
    ],
)
def test_a_zone_is_spelled_as_zones_are(sent, kept):
    parsed = parse("identify", {"userId": "u1", "traits": {"timezone": sent}})
    assert parsed.events[0].traits == {"timezone": kept}
    assert not parsed.warned


@pytest.mark.parametrize("sent", ["Berlin", "+02:00", "Europe", "../../etc/passwd", 5, ["Europe/Berlin"], "x" * 9999])
def test_what_names_no_zone_is_kept_and_told(sent):
    parsed = parse("identify", {"userId": "u1", "traits": {"timezone": sent}})
    assert parsed.events[0].traits == {"timezone": sent}
    assert [(one.field, "names no time zone" in one.reason) for one in parsed.warned] == [("traits.timezone", True)]
    assert not parse("group", {"userId": "u1", "groupId": "g", "traits": {"timezone": sent}}).warned


def test_removing_an_address_is_no_bad_address():
    assert one("identify", {"userId": "u1", "traits": {"email": None}}).traits == {"email": None}


@pytest.mark.parametrize(
    "external", ["x", [1], [{"id": "c"}], [{"id": "c", "type": "a b"}], [{"id": "c", "type": "previous_id"}]]
)
def test_misshapen_external_ids_are_warned_of(external):
    parsed = parse("track", {"userId": "u", "event": "E", "context": {"externalIds": external}})
    assert who(parsed.events[0]) == [("user_id", "u")]
    assert parsed.warned[0].field == "context.externalIds.0"


def test_warnings_are_not_told_of_refused_items():
    parsed = parse("identify", {"userId": "null", "traits": {"email": "x"}})
    assert parsed.warned == []
    why = "nobody is named: what userId says is a placeholder, or blocked by identity.yaml"
    assert parsed.refused == [Refusal(0, "userId", why)]


# --- the tracking plan -----------------------------------------------------------------------------------------------


def test_the_tracking_plan_is_kept():
    paid = {"total": "number", "at": "instant", "email": "text"}
    plan = TrackingPlan(
        events={
            "Paid": EventPlan(properties=paid, required=("total",), unknown="drop"),
            "Strict": EventPlan(properties={"a": "text"}, unknown="block"),
        },
        traits={"age": "number"},
    )
    good = {"total": 2.5, "at": T, "email": EMAIL, "x": 1}
    parsed = parse("track", {"userId": "u", "event": "Paid", "properties": good}, plan=plan)
    assert set(parsed.events[0].properties) == {"total", "at", "email"}
    assert [each.field for each in parsed.warned] == ["properties.x"]
    for name, properties, field in (
        ("Paid", {}, "properties.total"),
        ("Paid", {"total": "2.5"}, "properties.total"),
        ("Paid", {"total": True}, "properties.total"),
        ("Paid", {"total": 1, "at": "now"}, "properties.at"),
        ("Strict", {"b": 1}, "properties.b"),
    ):
        assert refusal("track", {"userId": "u", "event": name, "properties": properties}, plan=plan)[0] == field
    parsed = parse("identify", {"userId": "u", "traits": {"age": "5", "x": 1}}, plan=plan)
    assert parsed.events[0].traits == {"x": 1}
    assert one("track", {"userId": "u", "event": "Other", "properties": {"y": 1}}, plan=plan).properties == {"y": 1}
    closed = TrackingPlan(events=plan.events, unknown_events="block")
    assert "did you mean 'Paid'" in refusal("track", {"userId": "u", "event": "Payd"}, plan=closed)[1]


# --- anything at all -------------------------------------------------------------------------------------------------

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
fields = st.sampled_from(
    ["type", "event", "name", "userId", "anonymousId", "previousId", "groupId", "messageId", "timestamp", "id", "ip"]
) | st.sampled_from(
    [
        "originalTimestamp",
        "sentAt",
        "properties",
        "traits",
        "context",
        "batch",
        "email",
        "sealed",
        "hash",
        "externalIds",
    ]
)
times = st.datetimes().map(lambda at: at.isoformat() + "Z")
calls = st.dictionaries(fields, values | times | st.dictionaries(fields, values), max_size=9)
bodies = calls | st.fixed_dictionaries(
    {"batch": st.lists(calls | values, max_size=5)}, optional={"context": calls, "sentAt": times}
)


@settings(max_examples=100, deadline=None)
@given(
    path=st.sampled_from(sorted(PATHS)),
    body=st.binary(max_size=200) | bodies.map(lambda body: json.dumps(body).encode()),
    source=st.sampled_from([SHOP, BROWSER]),
    history=st.booleans(),
)
def test_anything_gives_events_refusals_or_one_error(path, body, source, history):
    try:
        parsed = parse(path, body, source=source, history=history)
    except MailwrightError:
        return
    assert decode_body(encode_body(Events(list(parsed.events)))) == Events(list(parsed.events))
    assert all(event.identifiers and isinstance(event.identifiers[0], Identifier) for event in parsed.events)
    for each in parsed.refused:
        assert each.reason
