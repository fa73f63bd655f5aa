"""The tracking plan: JSON Schema and the short form, and what each policy does with what differs."""

import json
from itertools import count

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core import errors
from mailwright.core.errors import InvalidInput
from mailwright.core.instants import parse_iso
from mailwright.ingest.plan import EventPlan, TrackingPlan, without
from mailwright.ingest.segment import IngestRules, Source, parse_request
from mailwright.ingest.standard import STANDARD
from mailwright.privacy import KeyRing, Sealer
from mailwright.runtime.project.load import load_project

SEAL = Sealer(KeyRing.generate(), ["email", "ip"])
NOW = parse_iso("2026-05-01T12:00:00Z")
ORDER = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string", "minLength": 1},
        "total": {"type": "number", "minimum": 0},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "buyer": {"type": "object", "properties": {"age": {"type": "integer"}}},
        "products": {
            "type": "array",
            "items": {"type": "object", "properties": {"price": {"type": "number"}}, "required": ["product_id"]},
        },
    },
    "required": ["order_id"],
}
GOOD = {"order_id": "o1", "total": 3, "at": "2026-05-01T11:00:00Z", "products": [{"product_id": "p", "price": 1}]}


def parse(body, plan, kind="track", **options):
    ids = count(1)
    told = {name: options.pop(name) for name in ("limits", "normaliser") if name in options}
    return parse_request(
        kind,
        json.dumps(body).encode(),
        IngestRules(sealer=SEAL, plan=plan, **told),
        **{
            "source": Source("shop"),
            "received_at": NOW,
            "new_id": lambda: f"new-{next(ids)}",
            "keeps_held": True,
            **options,
        },
    )


def track(properties, plan, **options):
    body = {"userId": "u1", "event": "Order Completed", "messageId": "m1", "properties": properties}
    return parse(body, plan, **options)


def plan_of(**event):
    return TrackingPlan(events={"Order Completed": EventPlan(**{"schema": ORDER, **event})})


def test_a_fitting_event_is_taken_without_a_word():
    parsed = track(GOOD, plan_of(unknown="block"))
    assert len(parsed.events) == 1
    assert (parsed.refused, parsed.warned, parsed.held, parsed.violations) == ([], [], [], [])


@pytest.mark.parametrize(
    ("change", "field", "kind", "said"),
    [
        ({"order_id": None}, "properties.order_id", "required", "missing"),
        ({"order_id": 5}, "properties.order_id", "type", "5 is no text"),
        ({"order_id": ""}, "properties.order_id", "minLength", ""),
        ({"total": -0.5}, "properties.total", "minimum", "minimum of 0"),
        ({"total": True}, "properties.total", "type", "true is no number"),
        ({"at": "yesterday"}, "properties.at", "format", '"yesterday" is no instant; write it like'),
        ({"buyer": {"age": 1.5}}, "properties.buyer.age", "type", "1.5 is no whole number"),
        ({"products": [{"product_id": "p"}, {"price": 1}]}, "properties.products.1.product_id", "required", ""),
    ],
)
def test_each_fault_is_told_with_its_place_and_kept_without_the_value(change, field, kind, said):
    parsed = track(GOOD | change, plan_of())
    (refusal,) = parsed.refused
    assert (refusal.field, said in refusal.reason) == (field, True), refusal
    (violated,) = parsed.violations
    assert (violated.kind, violated.event, violated.policy) == (kind, "Order Completed", "block")
    assert violated.field == ".".join(step for step in field.split(".") if not step.isdecimal())
    assert "yesterday" not in violated.reason


@pytest.mark.parametrize(("total", "held"), [(0.5, 0), (4200, 0), (0.49, 1), (1_234_567, 1), (-3, 1)])
def test_a_value_beyond_its_bounds_is_held_at_the_door(total, held):
    schema = {"properties": {"total": {"type": "number", "minimum": 0.5, "maximum": 4200}}}
    plan = TrackingPlan(events={"Order Completed": EventPlan(schema=schema, violation="quarantine")})
    parsed = track({"total": total}, plan)
    assert (len(parsed.events), len(parsed.held)) == (1 - held, held)


@pytest.mark.parametrize("policy", ["allow", "drop", "quarantine", "block"])
def test_the_policy_for_a_wrong_property(policy):
    parsed = track(GOOD | {"total": "x"}, plan_of(violation=policy))
    told = [refusal.field for refusal in parsed.warned]
    assert [violated.policy for violated in parsed.violations] == [policy]
    match policy:
        case "allow":
            assert parsed.events[0].properties["total"] == "x"
            assert told == ["properties.total"]
        case "drop":
            assert parsed.events[0].properties == {key: value for key, value in GOOD.items() if key != "total"}
            assert told == ["properties.total"]
        case "quarantine":
            assert (parsed.events, parsed.refused, told) == ([], [], [])
            assert [one.warned[0].field for one in parsed.held] == ["properties.total"]
        case "block":
            assert [refusal.field for refusal in parsed.refused] == ["properties.total"]


@pytest.mark.parametrize("policy", ["allow", "drop", "quarantine", "block"])
@pytest.mark.parametrize("form", [{}, {"schema": None, "properties": {"order_id": "text"}}])
def test_the_policy_for_an_undeclared_property(policy, form):
    parsed = track({"order_id": "o1", "ordr": 1}, plan_of(unknown=policy, **form))
    outcome = ("ordr" in parsed.events[0].properties) if parsed.events else None
    assert (outcome, len(parsed.held), len(parsed.refused)) == {
        "allow": (True, 0, 0),
        "drop": (False, 0, 0),
        "quarantine": (None, 1, 0),
        "block": (None, 0, 1),
    }[policy]
    if policy != "allow":
        ((field, kind),) = [(one.field, one.kind) for one in parsed.violations]
        assert (field, kind) == ("properties.ordr", "undeclared")


@pytest.mark.parametrize(("policy", "counts"), [("allow", (1, 0, 0)), ("quarantine", (0, 1, 0)), ("block", (0, 0, 1))])
def test_the_policy_for_an_undeclared_event(policy, counts):
    plan = TrackingPlan(events={"Order Completd": EventPlan()}, unknown_events=policy)
    parsed = track(GOOD, plan)
    assert (len(parsed.events), len(parsed.held), len(parsed.refused)) == counts


def test_a_schema_that_closes_itself_is_kept_even_where_the_plan_is_open():
    plan = plan_of(schema={**ORDER, "additionalProperties": False})
    assert track(GOOD | {"x": 1}, plan).refused[0].field == "properties.x"
    assert track(GOOD | {"x": 1}, plan_of(schema={**ORDER, "additionalProperties": False}, unknown="drop")).events


def test_the_strictest_policy_of_an_event_wins_and_what_is_dropped_inside_is_that_alone():
    plan = plan_of(unknown="quarantine", violation="block")
    assert track(GOOD | {"x": 1, "total": "x"}, plan).refused[0].field == "properties.total"
    nested = GOOD | {"products": [{"product_id": "p", "price": "1"}, {"product_id": "q", "price": 2}]}
    (event,) = track(nested, plan_of(violation="drop")).events
    assert event.properties["products"] == [{"product_id": "p"}, {"product_id": "q", "price": 2}]
    assert nested["products"][0]["price"] == "1"  # what was sent stays as it was


def test_what_nobody_would_keep_is_refused_and_not_lost():
    parsed = track(GOOD | {"total": "x"}, plan_of(violation="quarantine"), keeps_held=False)
    assert (parsed.events, list(parsed.held)) == ([], [])
    assert [refusal.field for refusal in parsed.refused] == ["properties.total"]


def test_only_what_the_plan_alone_is_against_is_held():
    body = {"event": "Order Completed", "properties": {}}
    parsed = parse(body, plan_of(violation="quarantine"))
    assert (list(parsed.held), parsed.refused[0].field) == ([], "userId")


def test_a_held_item_can_be_read_again_by_itself():
    """Moment, context and identity are those of the request that brought it."""
    item = {"type": "track", "userId": "u1", "event": "Order Completed", "properties": {"total": 1}}
    item["timestamp"] = "2026-05-01T09:00:00Z"
    body = {"batch": [item], "context": {"ip": "1.2.3.4", "a": 1}, "sentAt": "2026-05-01T09:30:00Z"}
    strict, open_ = plan_of(violation="quarantine"), TrackingPlan()
    (held,) = parse(body, strict, "batch", context={"userAgent": "x"}).held
    assert (held.message_id, held.event) == ("new-1", "Order Completed")
    call = json.loads(held.body)
    (event,) = parse({"batch": [call]}, open_, "batch").events
    (direct,) = parse(body, open_, "batch", context={"userAgent": "x"}).events
    plain = [msgspec.to_builtins(one) for one in (event, direct)]
    for one in plain:
        one["context"]["ip"] = SEAL.unseal(one["context"]["ip"])
    assert plain[0] == plain[1]


# --- traits ----------------------------------------------------------------------------------------------------------


def test_traits_of_people_and_accounts_have_their_plans():
    plan = TrackingPlan(
        traits={"age": "number"},
        identify=EventPlan(properties={"plan": "text"}),
        group=EventPlan(schema={"properties": {"seats": {"type": "integer"}}}, violation="block"),
    )
    body = {"userId": "u1", "traits": {"age": "5", "plan": 1, "x": 1}}
    parsed = parse(body, plan, "identify")
    assert parsed.events[0].traits == {"x": 1}
    assert {violated.event for violated in parsed.violations} == {"identify"}
    parsed = parse({"userId": "u1", "groupId": "g", "traits": {"seats": 1.5}}, plan, "group")
    assert parsed.refused[0].field == "traits.seats"
    assert plan.types().traits == {"age": "number", "plan": "text"}


# --- both forms ------------------------------------------------------------------------------------------------------

values = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "x", "1"])
)
values |= st.sampled_from(["2026-05-01", "2026-05-01T11:00:00Z"]) | st.lists(st.none()) | st.just({})
SHORT = {"t": "text", "n": "number", "b": "boolean", "i": "instant", "d": "date", "l": "list", "o": "object"}


def short_form_says(properties, required=("n", "t")):
    """The meaning of the short form, by itself: each field that is wrong."""
    import mailwright.ingest.typed_values as typed

    missing = {name for name in required if properties.get(name) is None}
    wrong = {
        name
        for name, value in properties.items()
        if value is not None and name in SHORT and not typed.is_a(SHORT[name], value)
    }
    return missing | wrong


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*SHORT, "z"]), values))
def test_the_short_form_means_what_it_meant(properties):
    plan = TrackingPlan(events={"E": EventPlan(properties=SHORT, required=("n", "t"))})
    found = {violation.path[1] for violation in plan.check_event("E", properties)}
    assert found == short_form_says(properties)
    assert plan.fits("E", properties) == (not found)


def test_types_for_rules_come_from_both_forms():
    types = TrackingPlan(
        events={"A": EventPlan(schema=ORDER), "B": EventPlan(properties=SHORT)}, standard=("email",)
    ).types()
    assert types.properties["A"] == {
        "order_id": "text",
        "total": "number",
        "at": "instant",
        "buyer": "object",
        "buyer.age": "number",
        "products": "list",
    }
    assert types.properties["B"] == SHORT
    assert types.properties["Email Opened"]["campaign_id"] == "text"


# --- the file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("events:\n  A:\n    schema:\n      properties:\n        a: {type: strang}\n", 5, "no JSON Schema"),
        ("events:\n  A:\n    schema: {properties: {a: {pattern: '(a'}}}\n", 3, "no JSON Schema"),
        ("events:\n  A:\n    schema: {$ref: 'http://127.0.0.1:9/x'}\n", 3, "no JSON Schema"),
        ("identify:\n  required: [a]\n", 2, "'a' is required but not declared"),
        ("events:\n  A:\n    required: [a]\n    schema: {}\n", 4, "a schema tells"),
        ("traits: {a: text}\nidentify:\n  schema: {}\n", 1, "tells all traits itself"),
        ("standard: [books]\n", 1, "books"),
    ],
)
def test_a_broken_plan_is_a_fault_with_its_place(text, line, said):
    with pytest.raises(InvalidInput) as caught:
        load_project({"tracking-plan.yaml": text, "mailwright.toml": '[project]\nname = "x"\n'})
    (issue,) = caught.value.issues
    assert said in str(issue)
    assert issue.span is not None
    assert issue.span.line == line


def test_a_pattern_runs_in_linear_time():
    plan = TrackingPlan(events={"E": EventPlan(schema={"properties": {"a": {"pattern": "^(a+)+$"}}})})
    assert not plan.fits("E", {"a": "a" * 30_000 + "b"})


@pytest.mark.parametrize("name", STANDARD)
def test_standard_events_can_be_switched_on_and_replaced(name):
    plan = TrackingPlan(standard=(name,))
    for event, one in STANDARD[name].items():
        assert set(one.required) <= set(one.properties), event
        values = {"text": "x", "number": 1, "list": []}
        sent = {prop: values[one.properties[prop]] for prop in one.required}
        assert plan.check_event(event, sent) == []
        assert len(plan.check_event(event, {})) == len(one.required)
    own = next(iter(STANDARD[name]))
    assert TrackingPlan(standard=(name,), events={own: EventPlan()}).check_event(own, {}) == []


@pytest.mark.parametrize(
    ("path", "left"),
    [
        (["a", "b"], {"a": {"c": 2}, "l": [{"x": 1}, 5]}),
        (["l", 0, "x"], {"a": {"b": 1, "c": 2}, "l": [{}, 5]}),
        (["l", 1], {"a": {"b": 1, "c": 2}}),
        (["l", 7, "x"], {"a": {"b": 1, "c": 2}, "l": [{"x": 1}, 5]}),
        (["z"], {"a": {"b": 1, "c": 2}, "l": [{"x": 1}, 5]}),
        ([], {"a": {"b": 1, "c": 2}, "l": [{"x": 1}, 5]}),
    ],
)
def test_a_field_is_left_out_where_it_stands(path, left):
    assert without({"a": {"b": 1, "c": 2}, "l": [{"x": 1}, 5]}, path) == left


def test_of_two_fields_one_may_be_inside_the_other():
    assert without({"a": {"b": 1}, "c": [{"d": 2, "e": 3}]}, ["a"], ["a", "b"], ["c", 0, "d"]) == {"c": [{"e": 3}]}


CLOSED = {"type": "object", "properties": {"order_id": {}}, "additionalProperties": False}


@pytest.mark.parametrize("event", [{}, {"schema": CLOSED}])
@pytest.mark.parametrize("unknown", ["drop", "quarantine", "block"])
def test_thousands_of_undeclared_properties_cost_little_and_are_told_in_short(monkeypatch, event, unknown):
    looked = []
    monkeypatch.setattr(errors, "get_close_matches", lambda name, *_, **__: looked.append(name) or [])
    sent = {f"key{n}": 1 for n in range(900)} | {"order_id": "o1"}
    call = {"userId": "u1", "event": "Order Completed", "type": "track", "properties": sent}
    parsed = parse({"batch": [call] * 4}, plan_of(unknown=unknown, **event), "batch")
    assert len(looked) == 10
    assert len(parsed.violations) == 4 * 20
    match unknown:
        case "drop":
            assert [one.properties for one in parsed.events] == [{"order_id": "o1"}] * 4
            told = [one for one in parsed.warned if one.index == 3]
            assert len(told) == 21
            assert (told[-1].field, told[-1].reason) == ("properties", "and 880 more")
        case "quarantine":
            assert [len(one.warned) for one in parsed.held] == [21] * 4
        case "block":
            assert len(parsed.refused) == 4


def test_the_gravest_of_many_violations_is_never_among_the_untold():
    sent = {f"key{n}": 1 for n in range(900)} | {"total": "much"}
    (refusal,) = track(sent | {"order_id": "o1"}, plan_of(unknown="drop", violation="block")).refused
    assert refusal.field == "properties.total"


def test_many_events_that_are_not_declared_cost_little(monkeypatch):
    looked = []
    monkeypatch.setattr(errors, "get_close_matches", lambda name, *_, **__: looked.append(name) or [])
    calls = [{"userId": "u1", "event": f"E{n}", "type": "track"} for n in range(100)]
    parsed = parse({"batch": calls}, TrackingPlan(events={"Paid": EventPlan()}, unknown_events="block"), "batch")
    assert (len(looked), len(parsed.refused)) == (10, 100)
    assert parsed.refused[-1].reason == "'E99' is not in the tracking plan"
