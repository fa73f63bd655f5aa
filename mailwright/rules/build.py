"""From what the grammar recognised to nodes: one function for each name in grammar.lark."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import DAY, HOUR, MINUTE, SECOND, parse_iso, to_datetime
from mailwright.rules import sugar
from mailwright.rules import syntax as s
from mailwright.rules.limits import LONGEST
from mailwright.rules.values import ANY_PAGE, ANY_SCREEN

UNITS: Mapping[str, int] = {
    "week": 7 * DAY,
    "day": DAY,
    "hour": HOUR,
    "minute": MINUTE,
    "second": SECOND,
    "millisecond": 1_000,
    "microsecond": 1,
}
MAX_DIGITS = 40
BIRTHDAY = s.Trait(path=("birthday",))


class Fault(Exception):
    """Text that fits the grammar but means nothing, such as February 30; its place is that of the part at hand."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Option(NamedTuple):
    """A clause that may follow an event in any order: where, times, at_most, exactly, window or within."""

    kind: str
    value: Any


# --- words and literals ----------------------------------------------------------------------------------------------


def decimal_text(text: str) -> str:
    """The one way to write a number: no leading plus or zeros, no trailing zeros, no exponent."""
    if len(text) > MAX_DIGITS:
        raise Fault(f"a number of {len(text)} characters is too long", f"at most {MAX_DIGITS} are read")
    exact = Decimal(text)
    shown = f"{exact:f}"
    shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
    return "0" if exact == 0 else shown


def _whole(token: str, least: int = 0) -> int:
    if not token.isdecimal():
        raise Fault(f"{token} is no whole number", f"write {least} or more")
    if int(token) < least:
        raise Fault(f"{token} is too few", f"write {least} or more")
    return int(token)


def _unquoted(token: str) -> str:
    return token[1:-1].replace(token[0] * 2, token[0])


def _words(token: str) -> str:
    """A keyword token in lower case with single spaces."""
    return " ".join(token.lower().split())


def _duration(number: str, unit: str) -> s.Constant:
    size = UNITS[unit.lower().removesuffix("s")]
    micros = Decimal(number) * size
    if micros > LONGEST:
        raise Fault(f"{number} {unit} is longer than 1,000 years", "leave the window out to mean ever")
    if micros != int(micros) or micros < 0:
        raise Fault(f"{number} {unit} is no length of time in whole microseconds", "write a whole number above 0")
    return s.Constant(kind="duration", value=int(micros))


def _micros(duration: s.Constant) -> int:
    return int(duration.value)


def _day(token: str) -> str:
    try:
        return date.fromisoformat(token).isoformat()
    except ValueError:
        raise Fault(f"there is no day {token}", "dates are written year-month-day, such as 2026-02-28") from None


def _instant(token: str) -> s.Constant:
    try:
        at = parse_iso(token)
        to_datetime(at)  # an offset may lead out of the years 1 to 9999
        return s.Constant(kind="instant", value=at)
    except (InvalidInput, OverflowError):
        raise Fault(f"there is no instant {token}", "write it like 2026-11-22T09:30:00Z") from None


# --- windows ---------------------------------------------------------------------------------------------------------


def _between_dates(first: str, last: str) -> s.Between:
    window = s.Between(first=_day(first), last=_day(last))
    if window.first > window.last:
        raise Fault(f"{last} is before {first}", "write the earlier day first")
    return window


def _month(token: str) -> s.Between:
    first = date.fromisoformat(_day(f"{token}-01"))
    return s.Between(
        first=first.isoformat(), last=first.replace(day=monthrange(first.year, first.month)[1]).isoformat()
    )


# --- events and what follows them ------------------------------------------------------------------------------------


def _options(options: tuple[Any, ...]) -> dict[str, Any]:
    """Clauses by kind; windows come as bare nodes. Each kind may stand once."""
    found: dict[str, Any] = {}
    for option in options:
        kind, value = option if isinstance(option, Option) else ("window", option)
        kind = "times" if kind in ("at_most", "exactly") else kind
        if kind in found:
            raise Fault(f"there are two {_CLAUSES[kind]} here", "keep one of them")
        found[kind] = option if kind == "times" else value
    return found


_CLAUSES = {"where": "filters", "times": "numbers of times", "window": "windows", "within": "windows"}


def _did(did: str, event: str, *options: Any) -> s.Expression:
    found = _options(options)
    kind, n = found.pop("times", Option("times", 1))
    if kind == "times":
        node: s.Expression = s.Did(event=event, times=n, **found)
    else:
        count = s.Aggregate(function="count", event=event, **found)
        node = s.Compare(op="<=" if kind == "at_most" else "=", left=count, right=_number(str(n)))
    return s.Not(term=node) if "not" in _words(did) else node


def _mailed(words: str, *options: Any) -> s.Expression:
    return _mailed_one(words, "''", *options)


def _mailed_one(words: str, name: str, *options: Any) -> s.Expression:
    verb, *_, kind = _words(words).split()
    event, where = sugar.mailed(verb, kind, _unquoted(name))  # type: ignore[arg-type]  # the grammar has no others
    return _did("did", event, *([Option("where", where)] if where else []), *options)


def _abandoned(path: tuple[str, ...] | None, wait: s.Constant | None, window: s.Window | None) -> s.Sequence:
    return sugar.abandoned_cart(path, _micros(wait) if wait else None, window)


def _sequence(did: str, event: str, *rest: Any) -> s.Sequence:
    steps = [each for each in rest if isinstance(each, s.Step)]
    tails = [each for each in rest if isinstance(each, Option) and each.kind in ("same", "completed")]
    first = _options(tuple(each for each in rest if each not in steps and each not in tails))
    if set(first) - {"where"}:
        raise Fault("the first event of a sequence takes only a filter", "put `within ...` after a later step")
    if "not" in _words(did):
        raise Fault("a sequence begins with something done", "write `not (did 'A' then 'B')`")
    windows = [tail.value for tail in tails if tail.kind == "completed"]
    if len(windows) > 1:
        raise Fault("there are two windows of completion here", "keep one of them")
    return s.Sequence(
        steps=(s.Step(event=event, where=first.get("where")), *steps),
        same=tuple(tail.value for tail in tails if tail.kind == "same"),
        window=windows[0] if windows else None,
    )


def _step(no: str | None, event: str, *options: Any) -> s.Step:
    return s.Step(event=event, negated=no is not None, **_options(options))


# --- values ----------------------------------------------------------------------------------------------------------


def _number(token: str) -> s.Constant:
    return s.Constant(kind="number", value=decimal_text(token))


def _bare_attribute(name: str) -> s.Attribute:
    if name.lower() in ("null", "none"):
        raise Fault(f"there is no value {name}", "write `is missing` or `is known`")
    return s.Attribute(name=str(name))


def _percentage(token: str) -> s.Constant:
    return s.Constant(kind="number", value=decimal_text(f"{Decimal(decimal_text(token)).scaleb(-2):f}"))


def _aggregate(function: str, event: str, path: tuple[str, ...] | None, *options: Any) -> s.Aggregate:
    name: Any = _words(function).removesuffix(" of")
    name = {"most frequent": "most_frequent", "minimum": "min", "maximum": "max"}.get(name, name)
    if path is None and name not in ("count", "first", "last"):
        example = f"{_words(function)} '{event}'.total"
        raise Fault(f"{_words(function)} needs a property of {event!r}", f"write it like {example}")
    return s.Aggregate(function=name, event=event, path=path or (), **_options(options))


def _time_since(event: str, where: Option | None) -> s.TimeSince:
    return s.TimeSince(event=event, where=where.value if where else None)


def _last_distinct(n: str, event: str, path: tuple[str, ...], *options: Any) -> s.LastDistinct:
    return s.LastDistinct(n=_whole(n, 1), event=event, path=path, **_options(options))


def _points(*points: tuple[str, str]) -> dict[str, str]:
    by_event = dict(points)
    if len(by_event) < len(points):
        raise Fault("an event has two numbers of points", "name each event once")
    return by_event


def _score(points: Mapping[str, str], half_life: s.Constant | None, scale: str | None, where: Option | None) -> s.Score:
    return s.Score(
        points=tuple(sorted(points.items())),
        half_life=_micros(half_life) if half_life else None,
        scale=decimal_text(scale) if scale else None,
        where=where.value if where else None,
    )


def _engagement(points: Mapping[str, str], half_life: s.Constant | None, scale: str | None) -> s.Score:
    micros = _micros(half_life) if half_life else None
    return sugar.engagement(points, micros, decimal_text(scale) if scale else None)


def _mail_rate(verb: str, n: str) -> s.Rate:
    return sugar.mail_rate("opened" if verb.lower().startswith("open") else "clicked", _whole(n, 1))


def _rate(hit: str, n: str, of: str, key: tuple[str, ...], where: Option | None) -> s.Rate:
    return s.Rate(hit=hit, n=_whole(n, 1), of=of, key=key, where=where.value if where else None)


def _session(fact: str, gap: s.Constant) -> s.Session:
    name: Any = _words(fact).split(" ", 1)[0]
    return s.Session(gap=_micros(gap), fact=name)


def _case(*parts: Any) -> s.Case:
    *rows, otherwise = parts
    return s.Case(rows=tuple(rows), otherwise=otherwise)


def _arithmetic(left: s.Expression, op: str, right: s.Expression) -> s.Arithmetic:
    name: Any = str(op)
    return s.Arithmetic(op=name, left=left, right=right)


def _as_time(words: str, of: s.Expression) -> s.AsTime:
    kind: Any = _words(words).split()[0]
    return s.AsTime(kind=kind, of=of)


# --- conditions ------------------------------------------------------------------------------------------------------


def _compare(left: s.Expression, op: str, right: s.Expression) -> s.Compare:
    name: Any = _words(op).replace(" ", "_")
    return s.Compare(op=name, left=left, right=right)


def _anniversary(of: s.Expression, direction: str = "next", n: str = "0", unit: str = "day") -> s.Anniversary:
    days = _whole(n) * UNITS[unit.lower().removesuffix("s")]
    if days % DAY:
        raise Fault("an anniversary is found by whole days", "write it like `is within next 7 days`")
    name: Any = direction.lower()
    return s.Anniversary(of=of, direction=name, days=days // DAY)


def _random_bucket(salt: str, less: str, percent: str) -> s.RandomBucket:  # noqa: ARG001
    share = decimal_text(percent)
    if not 0 <= Decimal(share) <= 100:
        raise Fault(f"{percent}% is no share", "write 0% to 100%")
    return s.RandomBucket(salt=_unquoted(salt), percent=share)


def _same(value: Any) -> Any:
    return value


def _constant(kind: Any) -> Callable[[str], s.Constant]:
    return lambda token: s.Constant(kind=kind, value=_day(token) if kind == "date" else _unquoted(token))


def _option(kind: str) -> Callable[[Any], Option]:
    return lambda value: Option(kind, value)


BUILDERS: Mapping[str, Callable[..., Any]] = {
    "start": _same,
    "group": _same,
    # words and literals
    "name": str,
    "quoted_name": _unquoted,
    "path": lambda *steps: steps,
    "event": _unquoted,
    "any_page": lambda: ANY_PAGE,
    "any_screen": lambda: ANY_SCREEN,
    "text": _constant("text"),
    "number": _number,
    "percentage": _percentage,
    "true": lambda: s.Constant(kind="boolean", value=True),
    "false": lambda: s.Constant(kind="boolean", value=False),
    "date": _constant("date"),
    "instant": _instant,
    "duration": _duration,
    # windows and clauses
    "within": lambda duration: s.Within(micros=_micros(duration)),
    "between_dates": _between_dates,
    "on_date": lambda day: s.Between(first=_day(day), last=_day(day)),
    "today": lambda: s.Calendar(unit="day"),
    "this": lambda unit: s.Calendar(unit=unit.lower()),
    "in_month": _month,
    "where": _option("where"),
    "filter_group": _option("where"),
    "at_least": lambda n: Option("times", _whole(n, 1)),
    "at_most": lambda n: Option("at_most", _whole(n)),
    "exactly": lambda n: Option("exactly", _whole(n)),
    "step_within": lambda duration: Option("within", _micros(duration)),
    "same": _option("same"),
    "completed": _option("completed"),
    # values
    "property_as_time": lambda kind, path: _as_time(kind, s.Property(path=path)),
    "property": lambda path: s.Property(path=path),
    "bare_attribute": _bare_attribute,
    "quoted_attribute": lambda token: s.Attribute(name=_unquoted(token)),
    "attribute": lambda name: s.Attribute(name=name),
    "birthday": lambda: BIRTHDAY,
    "trait": lambda path: s.Trait(path=path),
    "age": s.Age,
    "aggregate": _aggregate,
    "time_since": _time_since,
    "last_distinct": _last_distinct,
    "list_of": lambda add, path, remove, clear: s.ListOf(path=path, add=add, remove=remove, clear=clear),
    "rate": _rate,
    "point": lambda event, points: (event, decimal_text(points)),
    "mail_point": lambda verb, points: (sugar.MAILS[verb.lower()], decimal_text(points)),
    "points": _points,
    "score": _score,
    "engagement": _engagement,
    "mail_rate": _mail_rate,
    "affinity": lambda value, path, points, half_life: sugar.affinity(value, path, points, _micros(half_life)),
    "rising_interest": lambda value, path, points, recent, long_run: sugar.rising_interest(
        value, path, points, _micros(recent), _micros(long_run)
    ),
    "lifetime_value": sugar.lifetime_value,
    "session": _session,
    "context": lambda root, path: s.ContextFact(path=(root.lower(), *path)),
    "context_path": lambda path: s.ContextFact(path=path),
    "traffic_source": lambda: s.ContextFact(path=("traffic_source",)),
    "local_time": lambda part: s.LocalTime(part=_words(part).split()[1]),  # type: ignore[arg-type]
    "as_time": lambda kind, of: _as_time(kind, of),
    "row": lambda condition, value: (condition, value),
    "case": _case,
    "arithmetic": _arithmetic,
    # conditions
    "both": lambda *terms: s.And(terms=terms),
    "either": lambda *terms: s.Or(terms=terms),
    "negate": lambda term: s.Not(term=term),
    "compare": _compare,
    "between": lambda value, low, high: s.BetweenValues(value=value, low=low, high=high),
    "is_in": lambda value, *options: s.In(value=value, options=options),
    "is_known": lambda value: s.IsKnown(value=value),
    "is_missing": lambda value: s.Not(term=s.IsKnown(value=value)),
    "did": _did,
    "sequence": _sequence,
    "mailed": _mailed,
    "mailed_one": _mailed_one,
    "abandoned": _abandoned,
    "step": _step,
    "any_of": lambda path, where: s.AnyOf(path=path, where=where),
    "in_segment": lambda name: s.InSegment(name=name),
    "has_been": lambda name, duration: s.InSegment(name=name, for_micros=_micros(duration)),
    "in_list": lambda name: s.InList(name=name),
    "anniversary": _anniversary,
    "anniversary_today": _anniversary,
    "random_bucket": _random_bucket,
    "everyone": s.Always,
}
