"""Short ways to say what marketers say often, lowered to core nodes before anything else sees them.

`parse` calls the first half for what is written in rules (``opened campaign 'Spring'``); the loader calls the second
half for what is declared in ``attributes.yaml`` (``rfm``, ``lifecycle``, ``intent``). No back end knows any of it, and
what they become can be read: `show` prints the core form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec

from mailwright.core.durations import duration_micros
from mailwright.core.errors import InvalidInput, Issue
from mailwright.core.instants import MINUTE
from mailwright.rules import syntax as s

MAILS = {"opened": "Email Opened", "clicked": "Email Link Clicked", "received": "Email Sent"}
"""Events of our own tracking, by the word that rules use."""

OWN_EVENTS = (
    *MAILS.values(),
    *(
        f"Email {end}"
        for end in ("Failed", "Suppressed", "Expired", "Cancelled", "Unknown", "Bounced", "Marked as Spam")
    ),
    "Unsubscribed",
)
"""Events that Mailwright tells by itself; no tracking plan has to name them."""

ORDERED, REFUNDED, ADDED = "Order Completed", "Order Refunded", "Product Added"
CART_MICROS = 30 * MINUTE


def text(value: str) -> s.Constant:
    """A text constant."""
    return s.Constant(kind="text", value=value)


def by_hand() -> s.Expression:
    """A filter: the reaction of a person, not of a program that opens or follows links by itself."""
    machine = s.Property(path=("machine",))
    return s.Not(term=s.Compare(op="=", left=machine, right=s.Constant(kind="boolean", value=True)))


# --- written in rules ------------------------------------------------------------------------------------------------


def mailed(
    verb: Literal["opened", "clicked", "received"], kind: Literal["mail", "campaign", "journey"], name: str
) -> tuple[str, s.Expression | None]:
    """The event and the filter of ``opened any mail``, ``clicked campaign 'x'``, ``received journey 'y'``.

    Reactions of machines are left out. A campaign is known by its name here (``origin``) or, in what other tools
    sent, by ``campaign_name``.
    """
    terms = [] if verb == "received" else [by_hand()]
    if kind != "mail":
        ours = s.Compare(op="=", left=s.Property(path=("origin",)), right=text(f"{kind}:{name}"))
        theirs = s.Compare(op="=", left=s.Property(path=("campaign_name",)), right=text(name))
        terms.insert(0, s.Or(terms=(ours, theirs)) if kind == "campaign" else ours)
    return MAILS[verb], (s.And(terms=tuple(terms)) if len(terms) > 1 else terms[0] if terms else None)


def mail_rate(verb: Literal["opened", "clicked"], n: int) -> s.Rate:
    """``open rate over last 5 mails``: the share of the last n mails that a person, no machine, opened or clicked."""
    return s.Rate(hit=MAILS[verb], n=n, of=MAILS["received"], key=("message_id",), where=by_hand())


def engagement(points: Mapping[str, str], half_life: int | None, scale: str | None) -> s.Score:
    """``engagement {opened: 1, clicked: 2, 'Order Completed': 5} ...``: a score without what machines did."""
    return s.Score(points=tuple(sorted(points.items())), half_life=half_life, scale=scale, where=by_hand())


def abandoned_cart(same: tuple[str, ...] | None, wait: int | None, window: s.Window | None) -> s.Sequence:
    """``abandoned a cart``: something was added, and for `wait` (30 minutes) neither ordered nor added; nor since then.

    True from the deadline on, to the microsecond; an order or a further addition ends it, and the wait begins anew.
    With `same` each cart (``by cart_id``) stands for itself.
    """
    steps = (
        s.Step(event=ADDED),
        s.Step(event=ORDERED, negated=True, within=CART_MICROS if wait is None else wait),
        s.Step(event=ORDERED, negated=True),
        s.Step(event=ADDED, negated=True),
    )
    return s.Sequence(steps=steps, same=(same,) if same else (), window=window)


def affinity(value: s.Constant, path: tuple[str, ...], points: Mapping[str, str], half_life: int) -> s.Arithmetic:
    """``affinity to 'Shoes' by category over {...} half-life 30 days``: 0..1; without any such action missing.

    The share of one value of a property in the decayed score of all actions that carry the property.
    """
    asked = s.Property(path=path)

    def score(where: s.Expression) -> s.Score:
        return s.Score(points=tuple(sorted(points.items())), half_life=half_life, where=where)

    mine = score(s.Compare(op="=", left=asked, right=value))
    return s.Arithmetic(op="/", left=mine, right=score(s.IsKnown(value=asked)))


def rising_interest(
    value: s.Constant, path: tuple[str, ...], points: Mapping[str, str], recent: int, long_run: int
) -> s.Arithmetic:
    """The recent affinity minus the long-run one, -1..1: above 0 the interest rises."""
    recently, ever = (affinity(value, path, points, half_life) for half_life in (recent, long_run))
    return s.Arithmetic(op="-", left=recently, right=ever)


def lifetime_value() -> s.Arithmetic:
    """``lifetime value``: what was ordered to date, less what was refunded."""
    ordered, refunded = (s.Aggregate(function="sum", event=event, path=("total",)) for event in (ORDERED, REFUNDED))
    return s.Arithmetic(op="-", left=ordered, right=refunded)


# --- declared as attributes ------------------------------------------------------------------------------------------

_Cuts = Annotated[tuple[Decimal, ...], msgspec.Meta(min_length=1, max_length=9)]
_Times = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=9)]
_Named = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class RfmCell(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A named cell of `Rfm`: whoever has at least these scores and is in no cell above it.

    Attributes:
        cell: Its name.
        recency: Least recency score; 1 asks nothing.
        frequency: Least frequency score.
        monetary: Least monetary score.
    """

    cell: _Named
    recency: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    frequency: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    monetary: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1


class Rfm(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Recency, frequency and monetary value by declared cut points, and a named cell of the three.

    An attribute ``rfm`` declared so gives four: ``rfm_recency``, ``rfm_frequency`` and ``rfm_monetary`` from 1 to one
    more than there are cut points (the most is the best), and ``rfm``, the name of the first cell that fits. Who never
    ordered has none of the four.

    Attributes:
        event: The order.
        amount: Its property to sum up.
        within: Window of frequency and monetary value, such as ``90 days``; none: all orders to date.
        recency: Cut points of the time since the last order, ascending; less than the first is the best score.
        frequency: Cut points of the number of orders, ascending; a value on a cut point belongs to the better score.
        monetary: Cut points of the amount, ascending, likewise.
        cells: Named cells, the first that fits counts.
        otherwise: The cell of all others that ordered.
    """

    event: _Named = ORDERED
    amount: _Named = "total"
    within: str | None = None
    recency: _Times
    frequency: _Cuts
    monetary: _Cuts
    cells: Annotated[tuple[RfmCell, ...], msgspec.Meta(max_length=1000)] = ()
    otherwise: _Named = "Others"


class Lifecycle(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The stage of a customer: ``prospect``, ``new``, ``active``, ``at risk`` or ``lapsed``.

    Attributes:
        event: The order.
        new: All orders lie within this time: the first was less than so long ago.
        active: The last order was less than so long ago; longer than `new`.
        at_risk: The last order was less than so long ago; longer than `active`. Beyond it: lapsed.
    """

    event: _Named = ORDERED
    new: str = "30 days"
    active: str = "60 days"
    at_risk: str = "120 days"


class IntentBand(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What reaches a band of `Intent`; either is enough.

    Attributes:
        times: At least so many actions.
        dwell: At least so much of the `dwell` property in sum.
    """

    times: Annotated[int, msgspec.Meta(ge=1)]
    dwell: Decimal | None = None


class Intent(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Purchase intent from frequency and dwell: ``high``, ``medium``, ``low`` (at least one action) or ``none``.

    Attributes:
        event: The action that shows interest.
        within: Only actions of so long a time count.
        dwell: The property of `event` that tells how long one stayed, to be summed; none: frequency alone.
        high: What is high.
        medium: What is medium.
    """

    event: _Named = "Product Viewed"
    within: str = "7 days"
    dwell: _Named | None = None
    high: IntentBand
    medium: IntentBand


Declared = Rfm | Lifecycle | Intent


def lower(name: str, declared: Declared) -> dict[str, s.Expression]:
    """The attributes that a declaration gives, by name.

    Raises:
        InvalidInput: ``definition.invalid``; its issue's path is the key below the declaration, such as ``recency``.
    """
    match declared:
        case Rfm():
            return _rfm(name, declared)
        case Lifecycle():
            return {name: _lifecycle(declared)}
        case Intent():
            return {name: _intent(declared)}


def _rfm(name: str, rfm: Rfm) -> dict[str, s.Expression]:
    window = None if rfm.within is None else s.Within(micros=_micros("within", rfm.within))
    ago = [_micros("recency", each) for each in rfm.recency]
    _ascending("recency", ago)
    _ascending("frequency", rfm.frequency)
    _ascending("monetary", rfm.monetary)
    since = s.TimeSince(event=rfm.event)
    recency = [(s.Compare(op="<", left=since, right=_length(each)), len(ago) + 1 - n) for n, each in enumerate(ago)]
    count = s.Aggregate(function="count", event=rfm.event, window=window)
    amount = s.Aggregate(function="sum", event=rfm.event, path=tuple(rfm.amount.split(".")), window=window)
    scores = {
        "recency": _banded(rfm.event, recency),
        "frequency": _banded(rfm.event, _reached(count, rfm.frequency)),
        "monetary": _banded(rfm.event, _reached(amount, rfm.monetary)),
    }
    cells = [(_at_least(name, rfm, cell), text(cell.cell)) for cell in rfm.cells]
    whole = s.Case(rows=(*cells, (s.Did(event=rfm.event), text(rfm.otherwise))))
    return {name: whole, **{f"{name}_{part}": score for part, score in scores.items()}}


def _reached(value: s.Expression, cuts: Sequence[Decimal]) -> list[tuple[s.Expression, int]]:
    """Best first: the cut point that is reached, and its score."""
    best = [(s.Compare(op=">=", left=value, right=_number(cut)), n) for n, cut in enumerate(cuts, 2)]
    return [*reversed(best)]


def _banded(event: str, rows: Sequence[tuple[s.Expression, int]]) -> s.Case:
    """The score of the first row that is true; 1 for who did `event` at all, else missing."""
    scored = [(when, _number(Decimal(score))) for when, score in rows]
    return s.Case(rows=(*scored, (s.Did(event=event), _number(Decimal(1)))))


def _at_least(name: str, rfm: Rfm, cell: RfmCell) -> s.Expression:
    """The condition of a cell."""
    terms: list[s.Expression] = []
    for part in ("recency", "frequency", "monetary"):
        least, most = getattr(cell, part), len(getattr(rfm, part)) + 1
        if least > most:
            raise _invalid("cells", f"{cell.cell} asks for a {part} of {least}, but the most is {most}", "")
        if least > 1:
            value = s.Attribute(name=f"{name}_{part}")
            terms.append(s.Compare(op=">=", left=value, right=_number(Decimal(least))))
    if not terms:
        raise _invalid("cells", f"{cell.cell} holds everybody", "name it in `otherwise`, or give it a score")
    return s.And(terms=tuple(terms)) if len(terms) > 1 else terms[0]


def _lifecycle(lifecycle: Lifecycle) -> s.Expression:
    steps = [_micros(part, getattr(lifecycle, part)) for part in ("new", "active", "at_risk")]
    for (key, short), (longer_key, longer) in pairwise(zip(("new", "active", "at_risk"), steps, strict=True)):
        if longer <= short:
            raise _invalid(longer_key, f"{longer_key} is not longer than {key}", "write a longer time")
    new, active, at_risk = (s.Within(micros=micros) for micros in steps)
    ever, recent = (s.Aggregate(function="count", event=lifecycle.event, window=each) for each in (None, new))
    rows: tuple[tuple[s.Expression, s.Expression], ...] = (
        (s.Not(term=s.Did(event=lifecycle.event)), text("prospect")),
        (s.Compare(op="=", left=ever, right=recent), text("new")),
        (s.Did(event=lifecycle.event, window=active), text("active")),
        (s.Did(event=lifecycle.event, window=at_risk), text("at risk")),
    )
    return s.Case(rows=rows, otherwise=text("lapsed"))


def _intent(intent: Intent) -> s.Expression:
    window = s.Within(micros=_micros("within", intent.within))
    if intent.high.times <= intent.medium.times:
        raise _invalid("high", "high begins where medium does, or below", "let it begin above medium")

    def reached(key: str, band: IntentBand) -> s.Expression:
        often: s.Expression = s.Did(event=intent.event, times=band.times, window=window)
        if band.dwell is None:
            return often
        if intent.dwell is None:
            raise _invalid(key, "a dwell time, but of which property?", f"name the property of {intent.event!r}: dwell")
        path = tuple(intent.dwell.split("."))
        stayed = s.Aggregate(function="sum", event=intent.event, path=path, window=window)
        return s.Or(terms=(often, s.Compare(op=">=", left=stayed, right=_number(band.dwell))))

    rows = (
        (reached("high", intent.high), text("high")),
        (reached("medium", intent.medium), text("medium")),
        (s.Did(event=intent.event, window=window), text("low")),
    )
    return s.Case(rows=rows, otherwise=text("none"))


def cut_points(values: Sequence[Decimal], bands: int) -> list[Decimal]:
    """Cut points that part `values` into `bands` of equal size, to be frozen in a declaration.

    The k-th is the smallest value that at least the share k / bands of all values does not exceed (nearest rank), so
    it is always a value that occurs and never depends on rounding. Equal ones are given once: with many equal values
    there are fewer bands.

    Raises:
        InvalidInput: If there are no values, or `bands` is not 2 to 10.
    """
    if not 2 <= bands <= 10:
        raise _invalid("", f"{bands} bands are out of range", "2 to 10")
    if not values:
        raise _invalid("", "there are no values to take quantiles of", "declare the cut points")
    ranked = sorted(values)
    places = ((Decimal(len(ranked)) * k / bands).to_integral_value(ROUND_CEILING) for k in range(1, bands))
    return sorted({ranked[int(place) - 1] for place in places})


def _micros(key: str, length: str) -> int:
    """Microseconds of ``30 days``."""
    try:
        return duration_micros(length)
    except InvalidInput as error:
        raise _invalid(key, error.issues[0].message, error.issues[0].hint) from None


def _ascending(key: str, cuts: Sequence[Any]) -> None:
    if any(later <= earlier for earlier, later in pairwise(cuts)):
        raise _invalid(key, f"{key} does not ascend", "write the smaller one first, each once")
    if cuts[0] <= 0:
        raise _invalid(key, f"a cut point of {cuts[0]} is reached without any order", "begin above 0")


def _number(value: Decimal) -> s.Constant:
    shown = f"{value:f}"
    return s.Constant(kind="number", value=shown.rstrip("0").rstrip(".") if "." in shown else shown)


def _length(micros: int) -> s.Constant:
    return s.Constant(kind="duration", value=micros)


def _invalid(key: str, message: str, hint: str) -> InvalidInput:
    return InvalidInput("definition.invalid", [Issue(path=key, message=message, hint=hint)])
