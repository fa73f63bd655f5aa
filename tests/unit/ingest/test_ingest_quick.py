"""The short way and the long way make the same events of the same calls."""

import json
from itertools import count
from types import SimpleNamespace
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Event, Identifier
from mailwright.core.instants import parse_iso
from mailwright.ingest import segment
from mailwright.ingest.definitions import EventPlan, TrackingPlan
from mailwright.ingest.limits import Limits
from mailwright.ingest.quick import QuickDoor
from mailwright.ingest.reading import Reading
from mailwright.ingest.segment import IngestRules, Source, parse_request
from mailwright.privacy import KeyRing, Sealer

SEAL = Sealer(KeyRing.generate(), ["email", "ip", "name", "address.street", "nick"])
NOW = parse_iso("2026-05-01T12:00:00Z")
PLAN = TrackingPlan(
    events={
        "Paid": EventPlan(properties={"total": "number", "at": "instant"}, required=("total",)),
        "Strict": EventPlan(properties={"a": "text"}, unknown="drop"),
        "Schema": EventPlan(
            schema={"properties": {"a": {"type": ["string", "number"]}, "total": {"maximum": 5}}},
            unknown="quarantine",
            violation="allow",
        ),
    }
)


class Shouting:
    """A normaliser that renames one property, leaves one out with a word, and otherwise returns what it was given."""

    def traits(self, source, traits, warn, zone=None, at=None):
        if "nick" not in traits:
            return traits
        warn("traits.nick", f"left out by {source}")
        return {name: value for name, value in traits.items() if name != "nick"}

    def properties(self, source, event, properties, warn, zone=None, at=None):
        if "a" in properties and event == "Strict":
            return {"email" if name == "a" else name: value for name, value in properties.items()}
        if "b" in properties:
            warn("properties.b", f"left out by {source}")
            return {name: value for name, value in properties.items() if name != "b"}
        return {**properties, "total": 1} if properties.get("total") == "x" else properties

    def account_traits(self, source, traits, warn, zone=None, at=None):
        return traits

    def sealing(self, seal):
        return seal

    def without_secrets(self, source, call):
        return call

    def money(self, part):
        return frozenset()

    def prepare(self):
        pass


def placed(context):
    """A resolver: adds a place where there is an address, personal again."""
    return {**context, "address": {"street": "Elm", "city": "York"}} if "ip" in context else context


LONG = SimpleNamespace(event=lambda raw, path_type: None)


def parse(path, body, **options):
    ids = count(1)
    told = {name: options[name] for name in ("plan", "limits", "normaliser", "naming", "resolve") if name in options}
    given_ = {"source": Source("shop"), "received_at": NOW, "new_id": lambda: f"new-{next(ids)}"}
    asked = given_ | {name: value for name, value in options.items() if name not in told}
    return parse_request(path, json.dumps(body).encode(), IngestRules(sealer=SEAL, **told), **asked)


def long_way(path, body, **options):
    with mock.patch.object(segment, "QuickDoor", return_value=LONG):
        return parse(path, body, **options)


def opened(value):
    """With what was sealed in clear text: two boxes of one text differ."""
    if SEAL.is_sealed(value):
        return "sealed", SEAL.unseal(value), value["hash"]
    if isinstance(value, dict):
        return {key: opened(each) for key, each in value.items()}
    return [opened(each) for each in value] if isinstance(value, list) else value


PLAIN = {
    "type": "track",
    "messageId": "0123456789",
    "userId": "household-1",
    "anonymousId": "browser-17",
    "event": "Order Completed",
    "timestamp": "2026-05-01T11:00:00.123Z",
    "properties": {"total": 12.5, "products": [{"product_id": "p1", "price": 2.5, "tags": ["a", {"b": [1]}]}]},
    "context": {"library": {"name": "analytics-python", "version": "2.2.3"}},
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"type": "page", "name": "Home"},
        {"type": "screen"},
        {"userId": 17},
        {"userId": None},
        {"timestamp": None},
        {"sentAt": "2026-05-01T11:00:10Z", "originalTimestamp": "2026-05-01T11:00:00+02:00"},
        {"event": "Paid", "properties": {"total": 1}},
        {"context": None},
        {"context": {"ip": "1.2.3.4"}},
        {"integrations": {"All": True}},
    ],
)
def test_a_plain_call_goes_the_short_way(change):
    with mock.patch.object(segment, "_event", side_effect=AssertionError("the long way")):
        (event,) = parse("batch", {"batch": [PLAIN | change]}, plan=PLAN).events
    (other,) = long_way("batch", {"batch": [PLAIN | change]}, plan=PLAN).events
    assert opened(msgspec.to_builtins(event)) == opened(msgspec.to_builtins(other))


def test_calls_of_one_request_share_their_context():
    parsed = parse("batch", {"batch": [PLAIN, PLAIN | {"messageId": "2"}]})
    assert parsed.events[0].context is parsed.events[1].context


leaves = st.none() | st.booleans() | st.sampled_from([0, 1, -7, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 0.5, "x", "10"])
keys = st.sampled_from(["a", "b", "total", "at", "email", "name", "nick", "address", "street", "sealed", "hash", "ip"])
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))
objects = st.dictionaries(keys, values, max_size=4)
texts = st.sampled_from(
    ["", " ", "null", "0", "0001", "u1", " u2 ", "anna@example.com", "a@b", "x" * 40, "Guest", 5, 0, -1]
)
moments = st.sampled_from(
    [
        "2026-05-01T11:00:00Z",
        "2026-05-01",
        "",
        "1970-01-01T00:00:00Z",
        "2030-01-01",
        "2026-05-01T11:00:00.1234567Z",
        "x",
        5,
    ]
)
contexts = objects | st.fixed_dictionaries(
    {}, optional={"traits": objects, "externalIds": values, "library": st.just({"name": "py"}), "ip": texts}
)
fields = {
    "type": st.sampled_from(["track", "page", "screen", "identify", "group", "alias", "x", None]),
    "event": texts | st.sampled_from(["Paid", "Strict", "Schema", None]),
    "name": texts | st.none(),
    "category": texts | st.none(),
    "userId": texts | st.none(),
    "anonymousId": texts | st.none(),
    "groupId": texts,
    "previousId": texts,
    "messageId": texts | st.none(),
    "timestamp": moments | st.none(),
    "originalTimestamp": moments | st.none(),
    "sentAt": moments | st.none(),
    "properties": objects | st.none() | values,
    "traits": objects | st.none(),
    "context": contexts | st.none() | leaves,
}
change = st.one_of([st.tuples(st.just(name), given_) for name, given_ in fields.items()])
planned = st.tuples(st.just("event"), st.sampled_from(["Paid", "Strict", "Schema"]))
changes = st.lists(change | planned, max_size=3).map(dict)


class Chosen:
    """A project's words about identifiers: some are blocked, and perhaps the browser comes before the user."""

    external = ("crm",)

    def __init__(self, rank):
        self.rank = rank

    def blocks(self, kind, value):
        return value == ("household-1" if kind == "user_id" else "browser-17")


CHOSEN, TURNED = Chosen({}), Chosen({"anonymous_id": 0, "user_id": 1})


@settings(max_examples=300, deadline=None)
@given(
    calls=st.lists(changes.map(lambda changed: PLAIN | changed), min_size=1, max_size=5),
    told=st.fixed_dictionaries({}, optional={"context": contexts, "sentAt": moments}),
    kind=st.sampled_from(["server", "browser"]),
    options=st.fixed_dictionaries(
        {},
        optional={
            "plan": st.just(PLAN),
            "keeps_held": st.just(True),
            "normaliser": st.just(Shouting()),
            "naming": st.sampled_from([CHOSEN, TURNED]),
            "resolve": st.just(placed),
            "context": st.just({"ip": "::1", "userAgent": "x"}),
            "limits": st.sampled_from([Limits(depth=4, keys=500), Limits(event_bytes=400, id_chars=9)]),
        },
    ),
    path=st.sampled_from(["batch", "import"]),
    history=st.booleans(),
)
def test_both_ways_say_the_same(calls, told, kind, options, path, history):
    options = options | {"source": Source("shop", kind), "history": history and path == "import" and kind == "server"}
    body = told | {"batch": calls}
    assert outcome(parse, path, body, options) == outcome(long_way, path, body, options)


@pytest.mark.parametrize(
    "changed",
    [
        {"event": "Paid", "properties": {"total": "1"}},
        {"event": "Paid", "properties": None},
        {"event": "Strict", "properties": {"a": "x", "b": 1}},
        {"properties": {"a": 2**63}},
        {"properties": {"a": [-(2**63) - 1]}},
        {"properties": {"a": [{"b": 2**64}]}},
        {"properties": {"a": 2**63 - 1}},
        {"properties": {"address": {"street": "Elm"}}},
        {"properties": {"a": [{"email": "anna@example.com"}]}},
        {"properties": {"a": {"sealed": "x", "hash": "y"}}},
        {"properties": {"a": [[[[1]]]]}},
        {"properties": {"a": [[[[[1]]]]]}},
        {"properties": {"a": [[[{"b": {}}]]]}},
        {"properties": {"a": {"a": {"a": {"a": {"a": 1}}}}}},
        {"context": {"a": {"a": {"a": {"a": {"a": 1}}}}}},
        {"context": {"traits": {"email": "anna@example.com"}}},
        {"context": {"externalIds": [{"id": "c7", "type": "crm"}]}},
        {"userId": "anna@example.com"},
    ],
)
def test_what_is_not_plain_is_told_as_before(changed):
    options = {"plan": PLAN, "limits": Limits(depth=6)}
    body = {"batch": [PLAIN | changed]}
    assert outcome(parse, "batch", body, options) == outcome(long_way, "batch", body, options)


def outcome(way, path, body, options):
    """Events with what they seal in clear text, refusals and warnings; or the error."""
    try:
        parsed = way(path, body, **options)
    except InvalidInput as error:
        return error.code, error.issues
    told = [list(each) for each in (parsed.refused, parsed.warned, parsed.held, parsed.violations)]
    return opened(msgspec.to_builtins(list(parsed.events))), told


def test_what_the_short_way_gives_is_an_event():
    rules = IngestRules(sealer=SEAL, plan=PLAN)
    quick = QuickDoor(Reading(rules=rules, source=Source("shop"), received_at=NOW, new_id=lambda: "new"))
    event = quick.event(json.dumps(PLAIN).encode(), "")
    assert isinstance(event, Event)
    assert event.identifiers == [Identifier("user_id", "household-1"), Identifier("anonymous_id", "browser-17")]
    assert quick.event(b"{", "") is None


def test_a_normaliser_comes_before_the_plan_and_a_resolver_before_sealing():
    call = PLAN_CALL | {"context": {"ip": "1.2.3.4"}}
    options = {"plan": PLAN, "normaliser": Shouting(), "resolve": placed}
    (event,) = parse("batch", {"batch": [call]}, **options).events
    assert event.properties == {"total": 1}
    assert opened(event.context)["address"]["street"][:2] == ("sealed", "Elm")
    assert parse("batch", {"batch": [call]}, plan=PLAN).refused[0].field == "properties.total"


PLAN_CALL = PLAIN | {"event": "Paid", "properties": {"total": "x"}}


@pytest.mark.parametrize("changed", [{}, {"type": "identify", "event": None, "traits": {"a": 1}}])
def test_equal_contexts_of_a_request_are_resolved_once(changed):
    seen = []

    def resolve(context):
        seen.append(context)
        return context

    parsed = parse("batch", {"batch": [PLAIN | changed, PLAIN | changed | {"messageId": "2"}]}, resolve=resolve)
    assert len(parsed.events) == 2
    assert seen == [PLAIN["context"]]
