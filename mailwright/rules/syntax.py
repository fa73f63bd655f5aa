"""The syntax tree of the rule language: a closed set of frozen nodes.

One tree serves every back end: `parse` makes it from text, `show` prints it back, ``msgspec.json`` writes and reads its
JSON form (the tag field is ``node``), `interpret` defines its meaning, the fold keeps it live. What each node means at
its edges is in its docstring; what holds everywhere:

- Two-valued logic: a comparison with a missing value, or between different types, is false, also ``!=``.
- No coercion: ``'1'`` is not ``1``. ``null`` is missing.
- Numbers compare exactly as decimals; instants and durations are whole microseconds.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="node"):
    """Base of all nodes. Frozen, hashable, compared by value."""


# --- windows ---------------------------------------------------------------------------------------------------------


class Within(Node, frozen=True, tag="within"):
    """The last `micros` microseconds: stamps in the half-open interval ``(t - micros, t]``; micros > 0."""

    micros: int


class Between(Node, frozen=True, tag="between_dates"):
    """Calendar days `first`..`last` (ISO dates, both included) in the person's zone, else the shop's."""

    first: str
    last: str


class Calendar(Node, frozen=True, tag="calendar"):
    """The current day, week (from Monday), month or year in the person's zone, up to t."""

    unit: Literal["day", "week", "month", "year"]


Window = Within | Between | Calendar


# --- values ----------------------------------------------------------------------------------------------------------


class Constant(Node, frozen=True, tag="constant"):
    """A literal. `kind` tells text, number (`value` is its decimal text), boolean, date (ISO), duration (micros).

    ``instant`` holds the instant's microseconds. `values.constant` gives the run-time value.
    """

    kind: Literal["text", "number", "boolean", "date", "duration", "instant"]
    value: str | bool | int


class Property(Node, frozen=True, tag="property"):
    """A property of the event under test, by path; only inside ``where``.

    A path that meets a list of objects means each of them. A first step ``product`` after a list of objects with a
    ``product_id`` (``products.product.department``) reads the catalog item's facts in force at the event's stamp.
    """

    path: tuple[str, ...]


class Trait(Node, frozen=True, tag="trait"):
    """The last write to trait `path` by an identify call, by (stamp, offset); null removed it: missing."""

    path: tuple[str, ...]


class Attribute(Node, frozen=True, tag="attribute"):
    """A declared computed attribute, by name; means its expression."""

    name: str


class Age(Node, frozen=True, tag="age"):
    """Whole years from the date in trait ``birthday`` to t's date in the person's zone.

    A birthday of Feb 29 is on Feb 28 in common years. No birthday, or one that lies ahead: missing.
    """


class Aggregate(Node, frozen=True, tag="aggregate"):
    """An aggregate over the person's events named `event` that meet `where`, within `window` (None: ever).

    ``count`` counts events (`path` empty). ``sum``, ``count`` and ``distinct`` of nothing are 0, the others missing.
    ``sum``, ``average``, ``min`` and ``max`` skip what is no number, in exact micro-units. ``first`` and ``last`` are
    by (stamp, offset) among events that have the value; ``most_frequent`` breaks ties to the latest seen. An empty path
    with first or last is the event's stamp. A path over a list counts each element; ``count`` with a path counts the
    values. Averages are rounded half even to micro-units.
    """

    function: Literal["count", "sum", "average", "min", "max", "distinct", "first", "last", "most_frequent"]
    event: str
    path: tuple[str, ...] = ()
    where: Expression | None = None
    window: Window | None = None


class TimeSince(Node, frozen=True, tag="time_since"):
    """``t - stamp`` of the last event `event` that meets `where`, a duration; none: missing."""

    event: str
    where: Expression | None = None


class LastDistinct(Node, frozen=True, tag="last_distinct"):
    """The last `n` (1..100) distinct values of `path`, latest first, by (stamp, offset, place in list). Ordered.

    Nothing yet: an empty list, which is not missing.
    """

    n: int
    event: str
    path: tuple[str, ...]
    where: Expression | None = None
    window: Window | None = None


class ListOf(Node, frozen=True, tag="list_of"):
    """A kept list such as a cart: `add` appends the values at `path`, `remove` takes them off, `clear` empties.

    Of several equal values the last is taken off. Ordered leaf; the last 1,000 events of the three names are kept.
    Nothing yet: an empty list, which is not missing.
    """

    path: tuple[str, ...]
    add: str
    remove: str | None = None
    clear: str | None = None


class Rate(Node, frozen=True, tag="rate"):
    """The share (0..1) of the last `n` events `of` that have an event `hit` with the same value at `key`.

    Over those received if fewer than n; none: missing. An `of` without a value at `key` counts as not hit. Only hits
    that meet `where` count, and of them the 2,000 keys hit last. Rounded half even to micro-units. Ordered leaf.
    """

    hit: str
    n: int
    of: str
    key: tuple[str, ...]
    where: Expression | None = None


class Score(Node, frozen=True, tag="score"):
    """Sum of points x 2^(-(t - stamp)/half_life); without half_life the plain sum (exact).

    `scale` c > 0 maps the sum s to 100 x s / (s + c); a sum below 0 to 0. `points` is (event name, decimal text) pairs,
    sorted by name. Only events that meet `where` count. Tolerance when compared: 1e-9 relative, if it decays.
    """

    points: tuple[tuple[str, str], ...]
    half_life: int | None = None
    scale: str | None = None
    where: Expression | None = None


class Session(Node, frozen=True, tag="session"):
    """A fact of the last session, sessions being split by a gap of more than `gap` microseconds. Ordered leaf.

    ``count`` (of all sessions), ``length`` (duration), ``pages`` (page and screen calls), ``start`` (instant),
    ``device`` (the first ``device.type`` in it), ``source`` (its first ``traffic_source``). Sessions are made of track,
    page and screen calls, but not of what mails bring (source ``mailwright``). None yet: count is 0, others missing.
    """

    gap: int
    fact: Literal["count", "length", "pages", "start", "device", "source"]


class ContextFact(Node, frozen=True, tag="context"):
    """A fact of the latest event, of any type, whose context carried it, such as ``geo.city`` or ``traffic_source``.

    Of several values under a list, the first.
    """

    path: tuple[str, ...]


class LocalTime(Node, frozen=True, tag="local_time"):
    """Hour (0..23) or ISO weekday (1 Monday..7) of t in the person's zone, else the shop's."""

    part: Literal["hour", "weekday"]


class Case(Node, frozen=True, tag="case"):
    """The value of the first row whose condition is true, else `otherwise` (None: missing)."""

    rows: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression | None = None


class AsTime(Node, frozen=True, tag="as_time"):
    """Text read as time: ``date of trait signup``, ``instant of trait signup``; text is never a date without it.

    ISO 8601 alone. ``date``: a text with a time of day, or an instant, gives its day in the person's zone. ``instant``:
    a text without an offset is UTC; a bare date is missing. Anything else, and text that is no time: missing.
    In a filter it reads a property (``where (date of due > 2026-01-31)``), and days are those of UTC.
    """

    kind: Literal["date", "instant"]
    of: Expression


class Arithmetic(Node, frozen=True, tag="arithmetic"):
    """`left` op `right`, of numbers alone; a side that is missing or no number, and division by 0: missing.

    Exact decimals of up to 28 digits, half even beyond; a decayed score brings its floating-point value. ``*`` and
    ``/`` bind tighter than ``+`` and ``-``, equals go from left to right. Only outside ``where``.
    The quotient of two decayed scores of one half-life stays what it is until an event comes.
    """

    op: Literal["+", "-", "*", "/"]
    left: Expression
    right: Expression


Value = (
    Constant
    | Property
    | Trait
    | Attribute
    | Age
    | Aggregate
    | TimeSince
    | LastDistinct
    | ListOf
    | Rate
    | Score
    | Session
    | ContextFact
    | LocalTime
    | Case
    | AsTime
    | Arithmetic
)


# --- conditions ------------------------------------------------------------------------------------------------------


class Compare(Node, frozen=True, tag="compare"):
    """`left` op `right`; missing or different types: false, also for ``!=``.

    ``contains``: text in text (case folded), or an equal element in a list. ``starts_with``, ``ends_with`` fold case.
    ``matches``: RE2 search, case sensitive.
    """

    op: Literal["=", "!=", "<", "<=", ">", ">=", "contains", "starts_with", "ends_with", "matches"]
    left: Expression
    right: Expression


class BetweenValues(Node, frozen=True, tag="between"):
    """`low` <= value <= `high`; on dates both days are included whole."""

    value: Expression
    low: Expression
    high: Expression


class In(Node, frozen=True, tag="in"):
    """The value equals one of `options`; of a list value: one of its elements does."""

    value: Expression
    options: tuple[Constant, ...]


class IsKnown(Node, frozen=True, tag="is_known"):
    """The value is not missing; ``is missing`` is its ``not``."""

    value: Expression


class Did(Node, frozen=True, tag="did"):
    """At least `times` (>= 1) events `event` that meet `where`, within `window` (None: ever)."""

    event: str
    where: Expression | None = None
    times: int = 1
    window: Window | None = None


class AnyOf(Node, frozen=True, tag="any_of"):
    """One and the same element of the list of objects at `path` meets `where`; only inside ``where`` of an event."""

    path: tuple[str, ...]
    where: Expression


class Step(Node, frozen=True, tag="step"):
    """One step of a sequence: `event` meeting `where`, at most `within` microseconds after the step before."""

    event: str
    where: Expression | None = None
    negated: bool = False
    within: int | None = None


class Sequence(Node, frozen=True, tag="sequence"):
    """Steps in this order, greedy from the latest start that still can complete; equal at every path in `same`.

    A step comes after the one before it: its stamp is greater, and ``within e`` means ``(step, step + e]``. A negated
    step with ``within`` is done at its deadline, and the next step counts from there; its wait begins anew with every
    event that meets the step before it (a cart that changes). Without ``within`` it forbids the event up to the next
    step. A negated last step makes the sequence true at its deadline. An event that lacks a value of `same`, or has
    several, takes no part; of those that meet a step the last 10,000 do. Ordered leaf. After a deadline, a last negated
    step without one means: not up to now.
    True at t when it was completed at an instant inside `window` (None: ever, so once completed it stays true).
    """

    steps: tuple[Step, ...]
    same: tuple[tuple[str, ...], ...] = ()
    window: Window | None = None


class InSegment(Node, frozen=True, tag="in_segment"):
    """The person is in segment `name` at t; `for_micros`: and has been, without a break, for at least so long."""

    name: str
    for_micros: int | None = None


class InList(Node, frozen=True, tag="in_list"):
    """The person is on the uploaded list `name`."""

    name: str


class Anniversary(Node, frozen=True, tag="anniversary"):
    """An anniversary of the date `of` lies at most `days` days ahead (``next``) or back (``last``) of t's date.

    Today counts, so 0 days means today alone. Feb 29 is observed on Feb 28 in common years. The date itself is no
    anniversary, the first is a year later. `of` may be a date, an instant (its day in the person's zone) or ISO text.
    """

    of: Expression
    direction: Literal["next", "last"]
    days: int


class RandomBucket(Node, frozen=True, tag="random_bucket"):
    """First 32 bits of MD5(salt ':' first identifier), as a share of 2^32, is < `percent`/100 (decimal text)."""

    salt: str
    percent: str


class And(Node, frozen=True, tag="and"):
    """All of `terms` (one or more)."""

    terms: tuple[Expression, ...]


class Or(Node, frozen=True, tag="or"):
    """Any of `terms` (one or more)."""

    terms: tuple[Expression, ...]


class Not(Node, frozen=True, tag="not"):
    """The opposite; true where a comparison with a missing value was false."""

    term: Expression


class Always(Node, frozen=True, tag="everyone"):
    """True for every person: ``everyone``."""


Condition = (
    Compare
    | BetweenValues
    | In
    | IsKnown
    | Did
    | AnyOf
    | Sequence
    | InSegment
    | InList
    | Anniversary
    | RandomBucket
    | And
    | Or
    | Not
    | Always
)

Expression = Value | Condition


def children(node: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside a node, filters included, in the order of its fields."""
    found: list[Expression] = []
    for name in node.__struct_fields__:
        found += _expressions(getattr(node, name))
    return tuple(found)


def _expressions(value: Any) -> list[Expression]:
    match value:
        case Step(where=where):
            return [] if where is None else [where]
        case Within() | Between() | Calendar():
            return []
        case Node():
            return [value]  # type: ignore[list-item]  # every other node is an expression
        case tuple():
            return [inner for each in value for inner in _expressions(each)]
        case _:
            return []


_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Expression)


def to_json(node: Expression) -> bytes:
    """The tree as JSON."""
    return msgspec.json.encode(node)


def from_json(data: bytes) -> Expression:
    """The tree that `to_json` wrote; msgspec.ValidationError names the path of what does not fit."""
    node: Expression = _decoder.decode(data)
    return node


def key(node: Expression) -> str:
    """Identity of a node: half a SHA-256 of its JSON, all and/or terms sorted; equal leaves share state."""
    return hashlib.sha256(to_json(_normal(node))).hexdigest()[:32]


def _normal(node: Expression) -> Expression:
    """The same meaning with the terms of every and/or inside it sorted."""
    made = type(node)(**{name: _normal_part(getattr(node, name)) for name in node.__struct_fields__})
    if isinstance(made, And | Or):
        return type(made)(terms=tuple(sorted(made.terms, key=to_json)))
    return made


def _normal_part(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_normal_part(part) for part in value)
    return _normal(value) if isinstance(value, Node) else value  # type: ignore[arg-type]  # windows and steps alike
