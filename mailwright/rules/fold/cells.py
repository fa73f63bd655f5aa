"""Values of many people at one instant, as arrays, each with the instant until which it surely stays what it is.

``until`` is what makes a tick cheap: who is not touched and whose ``until`` lies ahead is not looked at. FOREVER means
"by an event only", VOLATILE "any moment": such people are looked at on every tick.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import tzinfo
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mailwright.core.instants import Instant
from mailwright.rules.fold.rows import Bools, Dictionary, Ints
from mailwright.rules.values import Duration, Moment, compare, from_micro_units

FOREVER = np.iinfo(np.int64).max
VOLATILE = -1  # before every tick: clocks of shops do not show 1969

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "contains", "starts_with", "ends_with", "matches"]
ORDERED: dict[str, Callable[[Any, Any], Any]] = {
    "=": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
MIRRORED: dict[str, Operator] = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


Zones = Callable[[], Sequence[tzinfo]]
"""Asked for each person's zone only where a comparison needs it."""

_FOREVER = np.array([FOREVER], dtype=np.int64)


def forever(n: int) -> Ints:
    """`n` cells that only an event can change: one number for all, not to be written to."""
    return np.broadcast_to(_FOREVER, (n,))


def is_forever(until: Ints) -> bool:
    """Whether `until` is what `forever` gave; False does not mean that there is a deadline."""
    return until.strides == (0,) and (len(until) == 0 or until[0] == FOREVER)


class Cells(ABC):
    """One value per person of the frame; subclasses hold them in different ways."""

    until: Ints

    @abstractmethod
    def values(self) -> list[Any]:
        """Run-time values, None where missing."""

    def compared(self, op: Operator, constant: Any, zones: Zones) -> Bools:
        """`values.compare` of each value with one constant, person by person unless a subclass knows better."""
        pairs = zip(self.values(), zones(), strict=True)
        return np.array([compare(op, value, constant, zone) for value, zone in pairs], dtype=bool)

    def known(self) -> Bools:
        """Which values are not missing."""
        return np.array([value is not None for value in self.values()], dtype=bool)

    def flips(self, constant: Any) -> Ints:
        """Until when a comparison with `constant` surely keeps its answer."""
        del constant
        return self.until

    def appears(self) -> Ints:
        """Until when it surely stays known or missing."""
        return self.until

    def truth(self) -> Truth:
        """As a condition: true where the value is true."""
        return Truth(np.array([value is True for value in self.values()], dtype=bool), self.until)


class Truth(Cells):
    """True or false, never missing."""

    def __init__(self, mask: Bools, until: Ints) -> None:
        self.mask = mask
        self.until = until

    def values(self) -> list[Any]:
        """See `Cells`."""
        return [bool(cell) for cell in self.mask]

    def known(self) -> Bools:
        """See `Cells`."""
        return np.ones(len(self.mask), dtype=bool)

    def truth(self) -> Truth:
        """See `Cells`."""
        return self


class Loose(Cells):
    """Any values, as Python objects."""

    def __init__(self, items: Sequence[Any], until: Ints) -> None:
        self._items = items
        self.until = until

    def values(self) -> list[Any]:
        """See `Cells`."""
        return list(self._items)


class Predicate:
    """A question about one value, asked once per distinct value."""

    def __init__(self, asks: Callable[[Any], bool]) -> None:
        self._asks = asks
        self._answers = np.zeros(1, dtype=bool)  # the last cell answers for MISSING

    def of(self, coded: Coded) -> Bools:
        """The answers for all cells."""
        values = coded.words.values
        n_asked = len(self._answers) - 1
        if n_asked < len(values):
            fresh = [self._asks(value) for value in values[n_asked:]]
            self._answers = np.concatenate([self._answers[:-1], np.array(fresh, dtype=bool), [False]])
        return np.asarray(self._answers[coded.codes])


class Coded(Cells):
    """Values by their number in a dictionary."""

    def __init__(self, codes: Ints, words: Dictionary, until: Ints) -> None:
        self.codes = codes
        self.words = words
        self.until = until

    def values(self) -> list[Any]:
        """See `Cells`."""
        words = [*self.words.values, None]
        return [words[code] for code in self.codes]

    def known(self) -> Bools:
        """See `Cells`."""
        return np.asarray(self.codes >= 0)

    def distinct(self, asks: Callable[[Any], bool]) -> Bools:
        """A question asked once per value that occurs in these cells."""
        codes, back = np.unique(self.codes, return_inverse=True)
        words = [*self.words.values, None]
        return np.array([asks(words[code]) for code in codes], dtype=bool)[back]


Unit = Literal["whole", "micro", "duration", "instant"]


class Whole(Cells):
    """Whole numbers with a unit: counts, micro-units, microseconds, instants."""

    def __init__(self, numbers: NDArray[Any], known: Bools, unit: Unit, until: Ints) -> None:
        self.numbers = numbers
        self._known = known
        self.unit = unit
        self.until = until

    def values(self) -> list[Any]:
        """See `Cells`."""
        make = _MAKE[self.unit]
        return [make(int(number)) if known else None for number, known in zip(self.numbers, self._known, strict=True)]

    def known(self) -> Bools:
        """See `Cells`."""
        return self._known

    def compared(self, op: Operator, constant: Any, zones: Zones) -> Bools:
        """See `Cells`."""
        exact = _exact(self.unit, constant)
        if exact is None or op not in ORDERED:
            return super().compared(op, constant, zones)
        return np.asarray(_against(op, self.numbers, exact) & self._known)


_MAKE: dict[Unit, Callable[[int], Any]] = {
    "whole": int,
    "micro": from_micro_units,
    "duration": Duration,
    "instant": lambda at: Moment(Instant(at)),
}


def _exact(unit: Unit, constant: Any) -> Decimal | None:
    """The constant on the unit's scale, or None if it is of another type."""
    match constant:
        case Decimal() if unit == "whole":
            return constant
        case Decimal() if unit == "micro":
            return constant.scaleb(6)
        case Duration(micros=micros) if unit == "duration":
            return Decimal(micros)
        case Moment(at=at) if unit == "instant":
            return Decimal(at)
        case _:
            return None


def _against(op: Operator, numbers: NDArray[Any], limit: Decimal) -> Bools:
    """Whole numbers against an exact decimal, which may lie between two of them or beyond 64 bit."""
    floor, ceiling = (int(limit.to_integral_value(way)) for way in (ROUND_FLOOR, ROUND_CEILING))
    if floor != ceiling and op in ("=", "!="):
        return np.full(len(numbers), op == "!=")
    edge = floor if op in (">", "<=") else ceiling
    if not -(2**63) <= edge < 2**63:
        numbers = numbers.astype(object)
    return np.asarray(ORDERED[op](numbers, edge), dtype=bool)


class Since(Cells):
    """``t - stamp``: a duration that grows as time passes."""

    def __init__(self, stamps: Ints, known: Bools, t: Instant) -> None:
        self._stamps = stamps
        self._known = known
        self._t = t
        self.until = np.where(known, VOLATILE, FOREVER)

    def values(self) -> list[Any]:
        """See `Cells`."""
        return [
            Duration(int(self._t - stamp)) if known else None
            for stamp, known in zip(self._stamps, self._known, strict=True)
        ]

    def known(self) -> Bools:
        """See `Cells`."""
        return self._known

    def compared(self, op: Operator, constant: Any, zones: Zones) -> Bools:
        """See `Cells`."""
        return Whole(self._t - self._stamps, self._known, "duration", self.until).compared(op, constant, zones)

    def appears(self) -> Ints:
        """See `Cells`."""
        return forever(len(self._stamps))

    def flips(self, constant: Any) -> Ints:
        """See `Cells`."""
        if not isinstance(constant, Duration):
            return forever(len(self._stamps))
        reached = self._stamps + constant.micros
        later = np.where(reached > self._t, reached, np.where(reached + 1 > self._t, reached + 1, FOREVER))
        return np.where(self._known, later, FOREVER)


class Fading(Cells):
    """A score that halves every `half_life`; `scale` maps it to 0..100."""

    def __init__(self, scores: NDArray[np.float64], half_life: int, scale: float | None, t: Instant) -> None:
        self._scores = scores
        self._half_life = half_life
        self._scale = scale
        self._t = t
        self.until = np.where(scores == 0, FOREVER, VOLATILE)

    def fades_like(self, other: Fading) -> bool:
        """Whether both are plain scores of one half-life."""
        return self._scale is None and other._scale is None and self._half_life == other._half_life

    def shown(self) -> NDArray[np.float64]:
        """The scores, scaled if asked for."""
        if self._scale is None:
            return self._scores
        floor = np.maximum(self._scores, 0.0)
        return np.asarray(100.0 * floor / (floor + self._scale))

    def values(self) -> list[Any]:
        """See `Cells`."""
        return [float(score) for score in self.shown()]

    def known(self) -> Bools:
        """See `Cells`."""
        return np.ones(len(self._scores), dtype=bool)

    def appears(self) -> Ints:
        """See `Cells`."""
        return forever(len(self._scores))

    def compared(self, op: Operator, constant: Any, zones: Zones) -> Bools:
        """See `Cells`."""
        if not isinstance(constant, Decimal) or op not in ORDERED:
            return super().compared(op, constant, zones)
        return np.asarray(ORDERED[op](self.shown(), float(constant)), dtype=bool)

    def flips(self, constant: Any) -> Ints:
        """When the score passes `constant` on its way to 0: ``t + half_life x log2(score / limit)``."""
        limit = self._limit(constant)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self._scores / limit if limit else np.zeros_like(self._scores)
            wait = np.ceil(np.log2(ratio) * self._half_life)
        passes = np.isfinite(wait) & (ratio >= 1) & (wait < 2**61)
        whole = np.maximum(np.where(passes, wait, 1), 1).astype(np.int64)  # what never passes may be no number at all
        return np.where(passes, self._t + whole, FOREVER)

    def _limit(self, constant: Any) -> float:
        """The constant on the scale of the plain score; 0 if the score never passes it by fading."""
        if not isinstance(constant, Decimal):
            return 0.0
        limit = float(constant)
        if self._scale is None:
            return limit
        return limit * self._scale / (100 - limit) if 0 < limit < 100 else 0.0
