"""Numbers in SQL from their decimal text: exact at any size, no binary fraction anywhere.

Two forms. The *key* of a number is a text whose order is the order of numbers and which equal numbers share (1, 1.0 and
10e-1 do). *Micro-units* are what sums and averages are made of: 64-bit whole numbers, rounded half even once.
"""

from __future__ import annotations

from decimal import Decimal

from sqlglot import exp

from mailwright.rules.sql.dialects import DuckDB
from mailwright.rules.sql.trees import E, binary, call, cast, choose, either, every, joined, number, text
from mailwright.rules.values import MICRO_UNITS_MAX

_MIDDLE = 5000  # decimal exponents are kept as five digits around this
_WIDTH = 5
_DIGITS = "0123456789"
_COUNTER = "9876543210"


def key_of_number(value: Decimal) -> str:
    """The key of a constant; what `number_key` gives for its text."""
    sign, digits, exponent = value.as_tuple()
    shown = "".join(map(str, digits)).lstrip("0")
    if not shown:
        return "1"
    place = int(exponent) + len(shown) - 1 + _MIDDLE
    significant = shown.rstrip("0")
    if not sign:
        return f"2{place:0{_WIDTH}}{significant}"
    return f"0{99_999 - place:0{_WIDTH}}{significant.translate(str.maketrans(_DIGITS, _COUNTER))}~"


def number_key(dialect: DuckDB, raw: E) -> E:
    """The key of a number in JSON text: sign, place of the first digit, significant digits."""
    parts = _Parts(dialect, raw)
    place = binary("+", parts.exponent, number(_MIDDLE))
    digits, counter = text(_DIGITS), text(_COUNTER)
    below = joined(
        text("0"),
        _padded(binary("-", number(99_999), place)),
        call("translate", parts.significant, digits, counter),
        text("~"),
    )
    above = joined(text("2"), _padded(place), parts.significant)
    return choose([(parts.is_zero, text("1")), (parts.is_negative, below)], above)


def micro_units(dialect: DuckDB, raw: E) -> E:
    """A number in JSON text as micro-units, half even; NULL if it leaves 64 bits: not summable.

    Texts that History holds are whole numbers of 64 bits or shortest texts of doubles, so 25 decimals tell every tie:
    what has more is below 10^-8, and 0 either way. Engines round decimals half away from 0; ties are put right.
    """
    exact = exp.TryCast(this=raw.copy(), to=exp.DataType.build("DECIMAL(38, 25)"), safe=True)
    rounded = cast(exact, "DECIMAL(38, 6)")
    units = cast(call("replace", cast(rounded, "VARCHAR"), text("."), text("")), dialect.huge)
    gap = binary("-", exact, cast(rounded, "DECIMAL(38, 25)"))
    half = cast(text("0.0000005"), "DECIMAL(38, 25)")
    odd = binary("!=", binary("%", units, number(2)), number(0))
    above = [binary("=", gap, exp.Neg(this=half)), odd]  # rounded up to an odd number
    below = [binary("=", gap, half), odd]
    inside = [binary("<=", units, number(MICRO_UNITS_MAX)), binary(">=", units, number(-MICRO_UNITS_MAX - 1))]
    whole = cast(units, "BIGINT")
    # A tie at the very edge of 64 bits cannot be: doubles of that size have no such decimals.
    rows = [(every([*above, *inside]), binary("-", whole, number(1)))]
    rows += [(every([*below, *inside]), binary("+", whole, number(1)))]
    return choose([*rows, (every(inside), whole)])


def half_even(dialect: DuckDB, total: E, n: E) -> E:
    """``total / n`` in whole micro-units, half even; NULL if n is 0."""
    size = call("abs", total)
    quotient, rest = binary("//", size, n), binary("%", size, n)
    twice = binary("*", rest, number(2))
    odd = binary("=", binary("%", quotient, number(2)), number(1))
    up = either([binary(">", twice, n), every([binary("=", twice, n), odd])])
    rounded = binary("+", quotient, choose([(up, number(1))], number(0)))
    signed = choose([(binary("<", total, number(0)), binary("*", rounded, number(-1)))], rounded)
    return choose([(binary(">", n, number(0)), cast(signed, dialect.huge))])


def key_of_units(dialect: DuckDB, units: E) -> E:
    """The key of a number given in micro-units."""
    return number_key(dialect, joined(cast(units, "VARCHAR"), text("e-6")))


def _padded(place: E) -> E:
    return call("lpad", cast(place, "VARCHAR"), number(_WIDTH), text("0"))


class _Parts:
    """The pieces of a number's text; engines work out an expression that occurs twice once."""

    def __init__(self, dialect: DuckDB, raw: E) -> None:
        body = call("lower", dialect.without_leading(raw, "-"))
        mantissa = call("split_part", body, text("e"), number(1))
        power = call("replace", call("split_part", body, text("e"), number(2)), text("+"), text(""))
        whole = call("split_part", mantissa, text("."), number(1))
        digits = joined(whole, call("split_part", mantissa, text("."), number(2)))
        counting = dialect.without_leading(digits, "0")
        n_zeros = binary("-", call("length", digits), call("length", counting))
        power = choose([(binary("=", power, text("")), number(0))], cast(power, "INT"))
        self.significant = dialect.without_trailing(counting, "0")
        self.exponent = binary(
            "-", binary("-", binary("+", power, call("length", whole)), number(1)), n_zeros
        )  # of ten, of the first digit that counts
        self.is_zero = binary("=", counting, text(""))
        self.is_negative = binary("=", call("left", raw, number(1)), text("-"))
