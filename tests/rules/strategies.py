"""Hypothesis generators for rules, histories and instants, shared by the tests of all back ends.

Stamps and windows come from one small grid, so that windows end exactly at events, events share stamps, and Feb 29, the
change of clocks (New York, 2028-03-12) and the turn of the year are met often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from mailwright.core.events import PLACES, Event, EventType, Item, Offset
from mailwright.core.instants import DAY, HOUR, MINUTE, SECOND, Instant, parse_iso
from mailwright.rules import syntax as s
from mailwright.rules.catalog import Catalog
from mailwright.rules.values import ANY_PAGE

NEW_YORK = ZoneInfo("America/New_York")
TRACKS = ("A", "B", "C")
NAMES = (*TRACKS, "P", ANY_PAGE)
ANCHORS = tuple(
    parse_iso(text)
    for text in (
        "2028-02-29T12:00:00Z",
        "2028-03-12T07:00:00Z",  # 02:00 in New York, when the clocks go to 03:00
        "2028-01-01T05:00:00Z",  # midnight in New York
        "2028-03-01T00:00:00Z",
    )
)
SPANS = (1, SECOND, 30 * MINUTE, HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY)

# --- instants, values and events -------------------------------------------------------------------------------------


def instants() -> st.SearchStrategy[Instant]:
    """Instants on the grid: an anchor, or a span before or after one, or two."""
    spans = st.sampled_from((0, *SPANS, *(-span for span in SPANS)))
    return st.builds(lambda anchor, a, b: Instant(anchor + a + b), st.sampled_from(ANCHORS), spans, spans)


def json_values() -> st.SearchStrategy[Any]:
    """Property values: of the types that rules compare, of wrong types, nested, null."""
    plain = (0, 1, 2, 3, -1, 0.5, 1.0, 2.675, 1e-7, 10**13, "a", "A", "ab", "ß", "1", "", True, False, None)
    nested = (["a", "b"], [1, None, "a"], [], {"a": 1}, "2028-02-29", "2027-02-28")
    return st.sampled_from((*plain, *nested))


def _lines() -> st.SearchStrategy[list[dict[str, Any]]]:
    line = st.fixed_dictionaries(
        {},
        optional={
            "product_id": st.sampled_from(("p1", "p2", "p3", 4, None)),
            "price": st.sampled_from((1, 2.5, 60, "60", None)),
            "category": st.sampled_from(("Shoes", "Hats", None)),
        },
    )
    return st.lists(line, max_size=3)


def _properties() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "x": json_values(),
            "y": json_values(),
            "key": st.sampled_from(("k1", "k2", 1, None)),
            "product_id": st.sampled_from(("p1", "p2")),
            "products": _lines() | json_values(),
        },
    )


def _traits() -> st.SearchStrategy[dict[str, Any]]:
    address = st.sampled_from(({"city": "NY"}, {"city": None}, {"street": "1"}, None, "NY", [{"city": "NY"}]))
    birthday = st.sampled_from(("2000-02-29", "1994-03-01", "2003-12-31", "2001-01-01T00:00:00Z", "no date", 5, None))
    return st.fixed_dictionaries(
        {},
        optional={
            "t": json_values(),
            "address": address,
            "birthday": birthday,
            "on": st.just("2028-02-29"),
            "timezone": _zones(),
        },
    )


def _zones() -> st.SearchStrategy[Any]:
    """Names of zones, some written in another way than they are called, removals, and what is no zone."""
    return st.sampled_from(("Europe/Berlin", "Asia/Tokyo", "US/Eastern", "Nowhere/At_All", 5, "", ["Asia/Tokyo"], None))


def _contexts() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "timezone": _zones(),
            "geo": st.sampled_from(({"region": "NY"}, {"region": None}, {}, None)),
            "device": st.sampled_from(({"type": "mobile"}, {"type": "desktop"}, "mobile")),
            "traffic_source": st.sampled_from(("google", "mail", None)),
        },
    )


_CALLS: tuple[tuple[EventType, str], ...] = (
    *(("track", name) for name in TRACKS * 2),
    *(("page", "P"), ("page", ""), ("screen", "S"), ("identify", ""), ("identify", ""), ("group", "")),
)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """One event: on time, late, in the future, or history; its message id is one of few, so that repeats occur."""
    stamp = draw(instants())
    kind, name = draw(st.sampled_from(_CALLS))
    lateness = draw(st.sampled_from((0, 0, 0, 1, HOUR, 7 * DAY, 7 * DAY + 1, 30 * DAY, -HOUR, -2 * DAY)))
    history = draw(st.integers(0, 9)) == 0
    received = Instant(stamp + lateness)
    return Event(
        message_id=draw(st.sampled_from([f"m{n}" for n in range(30)])),
        source=draw(st.sampled_from(("web", "web", "mailwright"))),
        type=kind,
        name=name,
        stamp_at=stamp,
        received_at=received,
        known_at=stamp if history else received,
        identifiers=[],
        properties=draw(_properties()) if kind not in ("identify", "group") else {},
        traits=draw(_traits()) if kind in ("identify", "group") else {},
        context=draw(_contexts()) if draw(st.booleans()) else {},
        history=history,
    )


@st.composite
def histories(draw: st.DrawFn, max_size: int = 12) -> list[tuple[Offset, Event]]:
    """One person's events with offsets, in the order in which they came; possibly none."""
    found = draw(st.lists(events(), max_size=max_size))
    return number_events(found)


def number_events(found: list[Event]) -> list[tuple[Offset, Event]]:
    """Offsets in the order of arrival."""
    arrived = sorted(found, key=lambda event: event.received_at)
    return [(Offset((place + 1) * PLACES), event) for place, event in enumerate(arrived)]


def catalog() -> Catalog:
    """Three products; one changes its department on Feb 29."""
    made = Catalog()
    for item_id, stamp, facts in (
        ("p1", 0, {"department": "Shoes", "price": 3}),
        ("p1", ANCHORS[0], {"department": "Sale", "price": 2}),
        ("p2", 0, {"department": "Hats", "tags": ["a", "b"]}),
        ("4", ANCHORS[1], {"department": "Shoes"}),
    ):
        made.put(Item(catalog="products", item_id=item_id, stamp_at=Instant(stamp), facts=facts))
    return made


# --- rules -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What generated rules may use. The defaults are for a rule that stands alone.

    Attributes:
        ordered: Also leaves for which order matters.
        odd_names: Names and texts with quotes, keywords, spaces; for tests of the text form, not of the meaning.
    """

    attributes: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    lists: tuple[str, ...] = ("l1", "l2")
    ordered: bool = True
    odd_names: bool = False


def constants(scope: Scope) -> st.SearchStrategy[s.Constant]:
    """Literals of every kind."""
    texts = st.sampled_from(("a", "A", "ab", "ß", "SS", "1", "", "Shoes", "NY", "google", "mobile"))
    numbers = st.sampled_from(("0", "1", "2", "3", "-1", "0.5", "2.675", "60", "10000000000000"))
    return st.one_of(
        st.builds(s.Constant, kind=st.just("text"), value=texts | _odd_texts(scope)),
        st.builds(s.Constant, kind=st.just("number"), value=numbers),
        st.builds(s.Constant, kind=st.just("number"), value=numbers),
        st.builds(s.Constant, kind=st.just("boolean"), value=st.booleans()),
        st.builds(s.Constant, kind=st.just("date"), value=dates()),
        st.builds(s.Constant, kind=st.just("duration"), value=st.sampled_from((0, *SPANS))),
        st.builds(s.Constant, kind=st.just("instant"), value=instants()),
    )


def dates() -> st.SearchStrategy[str]:
    """Days on and beside those of the anchors."""
    return st.sampled_from(("2028-02-28", "2028-02-29", "2028-03-01", "2028-03-11", "2028-03-12", "2027-12-31"))


def windows() -> st.SearchStrategy[s.Window | None]:
    """Every kind of window, and none."""
    return st.one_of(
        st.none(),
        st.builds(s.Within, micros=st.sampled_from(SPANS)),
        st.builds(s.Within, micros=st.sampled_from(SPANS)),
        st.builds(lambda a, b: s.Between(first=min(a, b), last=max(a, b)), dates(), dates()),
        st.builds(s.Calendar, unit=st.sampled_from(("day", "week", "month", "year"))),
    )


def filters(scope: Scope = Scope(), depth: int = 2, element: bool = False) -> st.SearchStrategy[s.Expression]:
    """Conditions on one event."""
    properties = st.builds(s.Property, path=_property_paths(scope, element))
    times = st.builds(s.AsTime, kind=st.sampled_from(("date", "instant")), of=properties)
    values = constants(scope) | properties
    simple = st.one_of(
        properties,
        _comparisons(properties, values, scope),
        _comparisons(properties | times, values | times, scope),
        st.just(s.Always()),
    )
    if not depth:
        return simple
    inner = filters(scope, depth - 1, element)
    any_of = st.builds(
        s.AnyOf, path=st.just(("products",)) | _odd_paths(scope), where=filters(scope, depth - 1, element=True)
    )
    return st.one_of(simple, simple, any_of, *_joined(inner))


def values(scope: Scope = Scope(), depth: int = 1) -> st.SearchStrategy[s.Expression]:
    """Values of every kind."""
    event, where = _events(scope), st.none() | filters(scope)
    paths = _property_paths(scope, element=False)
    leaves: list[st.SearchStrategy[s.Expression]] = [
        constants(scope),
        st.builds(s.Trait, path=_trait_paths(scope)),
        st.just(s.Age()),
        st.builds(s.Aggregate, function=st.just("count"), event=event, where=where, window=windows()),
        st.builds(
            s.Aggregate, function=st.sampled_from(_FUNCTIONS), event=event, path=paths, where=where, window=windows()
        ),
        st.builds(s.Aggregate, function=st.sampled_from(("first", "last")), event=event, where=where, window=windows()),
        st.builds(s.TimeSince, event=event, where=where),
        _scores(scope),
        st.builds(s.ContextFact, path=_context_paths(scope)),
        st.builds(s.LocalTime, part=st.sampled_from(("hour", "weekday"))),
        st.builds(s.AsTime, kind=st.sampled_from(("date", "instant")), of=st.builds(s.Trait, path=_trait_paths(scope))),
    ]
    if depth:
        operands = values(scope, depth - 1)
        leaves.append(st.builds(s.Arithmetic, op=st.sampled_from(("+", "-", "*", "/")), left=operands, right=operands))
    if scope.attributes:
        leaves.append(st.builds(s.Attribute, name=st.sampled_from(scope.attributes)))
    if scope.ordered:
        leaves += _ordered_values(scope)
    return st.one_of(*leaves, *([_cases(scope, depth - 1)] if depth else []))


_FUNCTIONS = ("count", "sum", "average", "min", "max", "distinct", "first", "last", "most_frequent")


def conditions(scope: Scope = Scope(), depth: int = 2) -> st.SearchStrategy[s.Expression]:
    """Conditions of every kind."""
    event, where = _events(scope), st.none() | filters(scope)
    did = st.builds(s.Did, event=event, where=where, times=st.integers(1, 3), window=windows())
    leaves: list[st.SearchStrategy[s.Expression]] = [
        did,
        did,
        _comparisons(values(scope, min(depth, 1)), values(scope, 0), scope),
        _comparisons(values(scope, 0), constants(scope), scope),
        st.builds(s.InList, name=st.sampled_from(scope.lists)),
        st.builds(
            s.Anniversary,
            of=st.just(s.Trait(path=("birthday",))) | values(scope, 0),
            direction=st.sampled_from(("next", "last")),
            days=st.sampled_from((0, 1, 7, 365, 400)),
        ),
        st.builds(s.RandomBucket, salt=st.text("ab'", max_size=3), percent=st.sampled_from(("0", "33.3", "50", "100"))),
        st.just(s.Always()),
    ]
    if scope.segments:
        leaves.append(
            st.builds(s.InSegment, name=st.sampled_from(scope.segments), for_micros=st.none() | st.sampled_from(SPANS))
        )
    if scope.ordered:
        leaves.append(sequences(scope))
    return st.one_of(*leaves, *(_joined(conditions(scope, depth - 1)) if depth else []))


@st.composite
def sequences(draw: st.DrawFn, scope: Scope = Scope()) -> s.Sequence:
    """Two to four steps; a negated last one has a deadline."""
    where = st.none() | filters(scope, 1)
    within = st.none() | st.sampled_from(SPANS)
    first = s.Step(event=draw(_events(scope)), where=draw(where))
    rest = draw(
        st.lists(
            st.builds(s.Step, event=_events(scope), where=where, negated=st.booleans(), within=within),
            min_size=1,
            max_size=3,
        )
    )
    last = rest[-1]
    after_deadline = len(rest) > 1 and rest[-2].negated and rest[-2].within is not None
    if last.negated and last.within is None and not after_deadline:
        rest[-1] = s.Step(event=last.event, where=last.where, negated=True, within=draw(st.sampled_from(SPANS)))
    same = draw(st.sampled_from(((), (("key",),), (("key",), ("product_id",)))))
    return s.Sequence(steps=(first, *rest), same=same, window=draw(windows()))


def _comparisons(
    lefts: st.SearchStrategy[s.Expression], rights: st.SearchStrategy[s.Expression], scope: Scope
) -> st.SearchStrategy[s.Expression]:
    ops = ("=", "!=", "<", "<=", ">", ">=", "contains", "starts_with", "ends_with")
    patterns = st.builds(
        s.Constant, kind=st.just("text"), value=st.sampled_from(("a", "^A$", "[ab]+$", "(?i)shoes", ""))
    )
    return st.one_of(
        st.builds(s.Compare, op=st.sampled_from(ops), left=lefts, right=rights),
        st.builds(s.Compare, op=st.sampled_from(ops), left=lefts, right=rights),
        st.builds(s.Compare, op=st.just("matches"), left=lefts, right=patterns),
        st.builds(s.BetweenValues, value=lefts, low=rights, high=rights),
        st.builds(s.In, value=lefts, options=st.lists(constants(scope), min_size=1, max_size=3).map(tuple)),
        st.builds(s.IsKnown, value=lefts),
    )


def _joined(inner: st.SearchStrategy[s.Expression]) -> list[st.SearchStrategy[s.Expression]]:
    terms = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return [st.builds(s.And, terms=terms), st.builds(s.Or, terms=terms), st.builds(s.Not, term=inner)]


def _cases(scope: Scope, depth: int) -> st.SearchStrategy[s.Expression]:
    row = st.tuples(conditions(scope, 0), values(scope, depth))
    rows = st.lists(row, min_size=1, max_size=2).map(tuple)
    return st.builds(s.Case, rows=rows, otherwise=st.none() | values(scope, depth))


@st.composite
def _scores(draw: st.DrawFn, scope: Scope) -> s.Score:
    points = draw(st.dictionaries(_events(scope), st.sampled_from(("1", "2.5", "0", "-1")), min_size=1, max_size=3))
    return s.Score(
        points=tuple(sorted(points.items())),
        half_life=draw(st.none() | st.sampled_from((DAY, 7 * DAY))),
        scale=draw(st.none() | st.sampled_from(("3", "50"))),
        where=draw(st.none() | filters(scope, 0)),
    )


def _ordered_values(scope: Scope) -> list[st.SearchStrategy[s.Expression]]:
    event = _events(scope)
    return [
        st.builds(
            s.LastDistinct,
            n=st.integers(1, 3),
            event=event,
            path=_property_paths(scope, element=False),
            where=st.none() | filters(scope, 1),
            window=windows(),
        ),
        st.builds(
            s.ListOf,
            path=st.sampled_from((("key",), ("products", "product_id"))),
            add=st.just("A"),
            remove=st.none() | st.just("B"),
            clear=st.none() | st.just("C"),
        ),
        st.builds(
            s.Rate, hit=event, n=st.integers(1, 3), of=event, key=st.just(("key",)), where=st.none() | filters(scope, 0)
        ),
        st.builds(
            s.Session,
            gap=st.sampled_from(SPANS),
            fact=st.sampled_from(("count", "length", "pages", "start", "device", "source")),
        ),
    ]


# --- names -----------------------------------------------------------------------------------------------------------

_ODD = (
    "not",
    "count",
    "first",
    "any",
    "in",
    "is",
    "then",
    "day",
    "two words",
    "back`tick",
    "quo'te",
    "ünï",
    "2nd",
    "a.b",
)


def _odd_texts(scope: Scope) -> st.SearchStrategy[str]:
    texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
    return texts if scope.odd_names else st.nothing()


def _odd_paths(scope: Scope) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(_ODD), min_size=1, max_size=3).map(tuple) if scope.odd_names else st.nothing()


def _events(scope: Scope) -> st.SearchStrategy[str]:
    return st.sampled_from(NAMES) | _odd_texts(scope)


def _property_paths(scope: Scope, element: bool) -> st.SearchStrategy[tuple[str, ...]]:
    inside = (("price",), ("category",), ("product_id",), ("product", "department"))
    outside = (("x",), ("y",), ("key",), ("products", "price"), ("products", "product", "department"))
    more = (("product", "tags"), ("products",), ("context", "geo", "region"), ("x", "a"))
    return st.sampled_from(inside if element else outside + more) | _odd_paths(scope)


def _trait_paths(scope: Scope) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sampled_from((("t",), ("address", "city"), ("address",), ("birthday",), ("on",))) | _odd_paths(scope)


def _context_paths(scope: Scope) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sampled_from((("geo", "region"), ("device", "type"), ("traffic_source",), ("geo",))) | _odd_paths(scope)
