"""Changes with their causes, deadlines, merges, boundaries: one table or short story each."""

from __future__ import annotations

from typing import Any

import pytest
from fold_world import START, event, identifiers, rules, shop
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import events, filters

from mailwright.core.errors import InvalidInput, NotFound, UnsupportedRule
from mailwright.core.events import Offset, Person
from mailwright.core.instants import DAY, HOUR, MINUTE, Instant
from mailwright.rules import syntax as s
from mailwright.rules.fold import Arrival, Fold, Rules
from mailwright.rules.fold.filters import compiled, quick_elements
from mailwright.rules.values import elements, holds

ANA, BEN = Person(0), Person(1)


def living(segments: dict[str, str], **more: Any) -> Fold:
    return Fold(rules(more.get("attributes", {}), segments, more.get("conditions")), shop())


def arrive(fold: Fold, offset: int, person: Person = ANA, name: str = "A", **more: Any) -> None:
    fold.ingest([Arrival(Offset(offset), person, event(offset, name, **more))])


def tick(fold: Fold, after: int, n: int = 2) -> list[tuple[int, str, bool, str]]:
    return [tuple(change) for change in fold.tick(Instant(START + after), identifiers(n))]


@pytest.mark.parametrize(
    ("rule", "leaves_after"),
    [
        ("did 'A' within 3 hours", 3 * HOUR),
        ("count of 'A' within 3 hours > 0", 3 * HOUR),
        ("last of 'A'.kind within 3 hours = 'hat'", 3 * HOUR),
        ("max of 'A'.total within 3 hours = 5", 3 * HOUR),
        ("time since last 'A' < 3 hours", 3 * HOUR),
        ("time since last 'A' <= 3 hours", 3 * HOUR + 1),
        ("not time since last 'A' > 3 hours", 3 * HOUR + 1),
        ("time since last 'A' between 0 hours and 3 hours", 3 * HOUR + 1),
        ("did 'A' then 'B' within 1 hour, completed within 2 hours", 2 * HOUR + MINUTE),
        ("did 'A' today", 5 * HOUR),  # START is 19:00 in New York
        ("local hour = 19", HOUR),
    ],
)
def test_time_alone_ends_it_at_the_very_instant(rule: str, leaves_after: int) -> None:
    fold = living({"in": rule})
    arrive(fold, 1, stamp=START, properties={"kind": "hat", "total": 5})
    arrive(fold, 2, name="B", stamp=START + MINUTE)
    tick(fold, MINUTE)
    assert fold.members("in")[ANA]
    steps = 0
    while (due := fold.next_due()) is not None and due < START + leaves_after:
        assert tick(fold, due - START) == []
        steps += 1
        assert steps < 30, "ticks without end"
    assert due == START + leaves_after
    assert tick(fold, leaves_after - 1) == []
    assert (0, "in", False, "time") in tick(fold, leaves_after)


@pytest.mark.parametrize(
    ("rule", "enters_after"),
    [
        ("did 'A' then no 'B' within 2 hours", 2 * HOUR),
        ("time since last 'A' >= 3 hours", 3 * HOUR),
        ("time since last 'A' > 3 hours", 3 * HOUR + 1),
        ("has been in segment seen for 4 hours", 4 * HOUR),
        ("did 'A' and not did 'A' within 1 hour", HOUR),
        ("did 'F'", 6 * HOUR),
    ],
)
def test_time_alone_begins_it_at_the_very_instant(rule: str, enters_after: int) -> None:
    fold = living({"seen": "did 'A'", "in": rule})
    arrive(fold, 1, stamp=START)
    arrive(fold, 2, name="F", stamp=START + 6 * HOUR, known=START)
    tick(fold, 0)
    assert tick(fold, enters_after - 1) == []
    assert (ANA, "in", True) in [change[:3] for change in tick(fold, enters_after)]


def test_a_score_fades_below_its_limit_in_time() -> None:
    fold = living({"keen": "score {'A': 2} half-life 3 hours > 1", "hot": "score {'A': 3} half-life 1 hour >= 24"})
    arrive(fold, 1, stamp=START)
    tick(fold, MINUTE)
    due = fold.next_due()
    assert due == pytest.approx(START + 3 * HOUR, abs=10)
    assert tick(fold, due - START + 10) == [(0, "keen", False, "time")]
    assert fold.next_due() is None


def test_causes() -> None:
    fold = living({"recent": "did 'A' within 1 hour", "all": "everyone"})
    arrive(fold, 1, ANA, stamp=START)
    arrive(fold, 2, BEN, stamp=START, history=True)
    assert tick(fold, 0) == [
        (0, "recent", True, "event"),
        (0, "all", True, "event"),
        (1, "recent", True, "import"),
        (1, "all", True, "import"),
    ]
    arrive(fold, 3, BEN, name="other", stamp=START + MINUTE)
    assert tick(fold, HOUR) == [(0, "recent", False, "time"), (1, "recent", False, "time")]
    assert tick(fold, HOUR, n=3) == [(2, "all", True, "event")]
    arrive(fold, 4, BEN, stamp=START + HOUR, history=True)
    arrive(fold, 5, BEN, stamp=START + HOUR)
    assert tick(fold, HOUR, n=3) == [(1, "recent", True, "event")]


def test_a_definition_is_the_cause_for_those_who_were_there() -> None:
    fold = living({})
    arrive(fold, 1, ANA, stamp=START)
    tick(fold, 0, n=1)
    fold = Fold(rules({}, {"all": "everyone"}), shop(), replacing=fold)
    arrive(fold, 2, BEN, stamp=START)
    assert tick(fold, MINUTE) == [(0, "all", True, "definition"), (1, "all", True, "event")]
    assert fold.sizes() == {"all": 2}


def test_who_came_since_the_last_tick_is_no_earlier_one_because_somebody_looked_at_them() -> None:
    fold = living({})
    arrive(fold, 1, stamp=START)
    tick(fold, 0, n=1)
    arrive(fold, 2, BEN, stamp=START)
    assert fold.zone(BEN)
    fold = Fold(rules({}, {"all": "everyone"}), shop(), replacing=fold)
    assert tick(fold, MINUTE) == [(0, "all", True, "definition"), (1, "all", True, "event")]


def test_a_merge_carries_over_what_the_other_profile_was() -> None:
    fold = living({"buyer": "did 'A'", "both": "did 'A' and did 'B'", "new": "not did 'A'"})
    arrive(fold, 1, ANA, stamp=START)
    arrive(fold, 2, BEN, name="B", stamp=START)
    tick(fold, 0)
    fold.merge(BEN, ANA)
    arrive(fold, 3, BEN, type="identify", stamp=START + 1)
    assert tick(fold, 1) == [
        (0, "buyer", False, "merge"),
        (1, "buyer", True, "merge"),
        (1, "both", True, "time"),
        (1, "new", False, "merge"),
    ]
    assert fold.sizes() == {"buyer": 1, "both": 1, "new": 0}


def test_sums_beyond_64_bit_are_exact() -> None:
    fold = living({}, attributes={"sum": "sum of 'A'.total", "recent": "sum of 'A'.total within 1 hour"})
    for offset in range(1, 6):
        arrive(fold, offset, stamp=START, properties={"total": 9 * 10**12})
    tick(fold, 0)
    assert [fold.attribute(name, [ANA, BEN]) for name in ("sum", "recent")] == [[45 * 10**12, 0]] * 2
    tick(fold, HOUR)
    assert fold.attribute("recent", [ANA]) == [0]


def test_people_may_be_asked_for_twice_and_before_they_are_ticked() -> None:
    fold = living({}, attributes={"n": "count of 'A'"}, conditions={"some": "n > 0"})
    arrive(fold, 1, BEN, stamp=START)
    assert fold.attribute("n", [ANA, BEN]) == [None, None]
    assert fold.truths(["some"], [BEN])["some"].tolist() == [False]
    tick(fold, 0)
    assert fold.attribute("n", [BEN, ANA, BEN, Person(7)]) == [1, 0, 1, 0]
    assert fold.truths(["some"], [BEN, BEN, ANA])["some"].tolist() == [True, True, False]
    assert fold.attribute("n", []) == []


@pytest.mark.parametrize("ask", [lambda fold: fold.attribute("m", []), lambda fold: fold.members("x")])
def test_an_unknown_name_is_told_with_the_nearest(ask: Any) -> None:
    fold = living({"xy": "everyone"}, attributes={"mm": "age"})
    with pytest.raises(NotFound, match="did you mean"):
        ask(fold)


@pytest.mark.parametrize(
    ("segments", "attributes", "code"),
    [
        ({"a": "in segment b", "b": "not in segment a"}, {}, "rule.cycle"),
        ({"a": "in segment aa"}, {}, "rule.segment"),
        ({"a": "x > 1"}, {}, "rule.attribute"),
        ({"a": "x > 1"}, {"x": "case when x > 1 then 1 end"}, "rule.cycle"),
    ],
)
def test_rules_that_cannot_be(segments: dict[str, str], attributes: dict[str, str], code: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        living(segments, attributes=attributes)
    assert raised.value.code == code


def test_a_bare_property_is_refused() -> None:
    bare = Rules(attributes={"p": s.Property(path=("p",))}, segments={}, conditions={}, zone=rules({}, {}).zone)
    with pytest.raises(UnsupportedRule):
        Fold(bare, shop())


def test_a_clock_that_jumps_back_changes_nothing() -> None:
    fold = living({"recent": "did 'A' within 1 hour"})
    arrive(fold, 1, stamp=START)
    tick(fold, DAY)
    assert tick(fold, 0) == []
    assert fold.sizes() == {"recent": 0}


PATHS = [
    ("x",),
    ("products",),
    ("products", "price"),
    ("products", "product", "department"),
    ("y", "a"),
    ("context", "geo"),
]
PATHS += [("products", "product", "tags"), ("product", "department"), ()]


@settings(max_examples=100, deadline=None)
@given(events())
def test_the_quick_way_to_elements_is_the_plain_way(happened: Any) -> None:
    for path in PATHS:
        assert quick_elements(happened, path, shop().facts) == elements(happened, path, shop().facts)


@settings(max_examples=100, deadline=None)
@given(filters(depth=2), st.lists(events(), min_size=5, max_size=10))
def test_a_compiled_filter_says_what_the_plain_one_says(where: Any, happened: list[Any]) -> None:
    test = compiled(where, shop().facts)
    for each in happened:
        assert test(each, None) == holds(where, each, shop().facts)
