"""Small pieces of SQL trees: every operand is bracketed here, so that no precedence of any dialect can matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from sqlglot import exp

E = exp.Expression

_BINARY: dict[str, type[exp.Binary]] = {
    "=": exp.EQ,
    "!=": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
    "+": exp.Add,
    "-": exp.Sub,
    "*": exp.Mul,
    "//": exp.IntDiv,
    "%": exp.Mod,
    "||": exp.DPipe,
}
_ATOMS = (exp.Column, exp.Literal, exp.Placeholder, exp.Anonymous, exp.Paren, exp.Boolean, exp.Cast, exp.Null, exp.Case)


def call(name: str, *arguments: E) -> E:
    """A function call by its name in the dialect at hand."""
    return exp.Anonymous(this=name, expressions=[each.copy() for each in arguments])


def column(name: str, table: str = "") -> E:
    """A column, quoted."""
    return exp.column(exp.to_identifier(name, quoted=True), table=exp.to_identifier(table) if table else None)


def text(value: str) -> E:
    """A text literal; the printer escapes it."""
    return exp.Literal.string(value)


def number(value: int) -> E:
    """A whole number."""
    return exp.Literal.number(value) if value >= 0 else exp.Paren(this=exp.Neg(this=exp.Literal.number(-value)))


def cast(value: E, kind: str) -> E:
    """``CAST(value AS kind)``; `kind` as the dialect writes it."""
    return exp.Cast(this=value.copy(), to=exp.DataType.build(kind, udt=True))


def null() -> E:
    """The missing value."""
    return exp.Null()


def true() -> E:
    """The condition that always holds."""
    return exp.true()


def false() -> E:
    """The condition that never holds."""
    return exp.false()


def binary(op: str, left: E, right: E) -> E:
    """``(left op right)``, of arithmetic, comparison and ``||``."""
    return exp.Paren(this=_BINARY[op](this=_atom(left), expression=_atom(right)))


def joined(*parts: E) -> E:
    """Texts one after another; NULL if any is."""
    found = parts[0]
    for part in parts[1:]:
        found = binary("||", found, part)
    return found


def every(terms: Iterable[E]) -> E:
    """All of them; of none, true."""
    return _chain(exp.And, [term for term in terms if term != exp.true()], exp.true())


def either(terms: Iterable[E]) -> E:
    """Any of them; of none, false."""
    return _chain(exp.Or, [term for term in terms if term != exp.false()], exp.false())


def _chain(kind: type[exp.Binary], terms: Sequence[E], empty: E) -> E:
    if not terms:
        return empty
    found = _atom(terms[0])
    for term in terms[1:]:
        found = exp.Paren(this=kind(this=found, expression=_atom(term)))
    return found


def negated(term: E) -> E:
    """The opposite of a condition that is never NULL."""
    return exp.Paren(this=exp.Not(this=_atom(term)))


def is_null(value: E) -> E:
    """Whether a value is missing."""
    return exp.Paren(this=exp.Is(this=_atom(value), expression=exp.Null()))


def is_known(value: E) -> E:
    """Whether a value is there."""
    return negated(is_null(value))


def sure(condition: E) -> E:
    """A condition with its NULL taken as false: comparisons with a missing value are."""
    return call("coalesce", condition, exp.false())


def choose(rows: Sequence[tuple[E, E]], otherwise: E | None = None) -> E:
    """``CASE WHEN ... THEN ... ELSE ... END``."""
    ifs = [exp.If(this=when.copy(), true=value.copy()) for when, value in rows]
    return exp.Case(ifs=ifs, default=None if otherwise is None else otherwise.copy())


def one_of(value: E, options: Sequence[E]) -> E:
    """``value IN (options)``; none: false."""
    if not options:
        return exp.false()
    return exp.Paren(this=exp.In(this=_atom(value), expressions=[option.copy() for option in options]))


def function_of(name: str, body: E) -> E:
    """The function ``name -> body`` that list functions take."""
    return exp.Lambda(this=body.copy(), expressions=[exp.to_identifier(name)])


def where(aggregate: E, condition: E) -> E:
    """An aggregate over the rows that meet a condition."""
    if condition == exp.true():
        return aggregate
    return exp.Filter(this=aggregate.copy(), expression=exp.Where(this=condition.copy()))


def _atom(value: E) -> E:
    return value.copy() if isinstance(value, _ATOMS) else exp.Paren(this=value.copy())


def scaled_floor(value: Decimal) -> tuple[int, bool]:
    """A number in micro-units rounded down, cut to what 128 bits hold, and whether nothing was lost by rounding."""
    if value.adjusted() > 30:
        return (10**37 if value > 0 else -(10**37)), False
    if value.adjusted() < -40:
        return (-1 if value < 0 else 0), value == 0
    sign, digits, exponent = value.as_tuple()
    whole = int("".join(map(str, digits))) * (-1 if sign else 1)
    shift = int(exponent) + 6
    if shift >= 0:
        return whole * 10**shift, True
    units, rest = divmod(whole, 10**-shift)
    return units, rest == 0


def copied(values: Iterable[Any]) -> list[Any]:
    """Fresh copies: a tree's node has one parent."""
    return [value.copy() for value in values]
