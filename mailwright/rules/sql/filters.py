"""Filters on one event (``where``) as conditions on its row: what `values.holds` says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailwright.rules import syntax as s
from mailwright.rules.sql.asks import Asks, Source
from mailwright.rules.sql.compare import Comparer, Typed, Unsupported
from mailwright.rules.sql.paths import Json, Values
from mailwright.rules.sql.trees import E, column, either, every, false, negated, null, one_of, sure, text, true
from mailwright.rules.values import ANY_PAGE, ANY_SCREEN, constant

CATALOG_STEP = "product"


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a filter is asked of: the event, or inside ``any of`` one element.

    `all_elements` lists every element that the name `element` may stand for, as an expression on the event's row.
    """

    event: E
    element: E | None = None
    all_elements: E | None = None


class Filters:
    """Builds the conditions of one query."""

    def __init__(self, json: Json, asks: Asks, comparer: Comparer) -> None:
        self._json = json
        self._asks = asks
        self._comparer = comparer

    def named(self, event: str) -> E:
        """Whether the row's event is called so; see `values.names_of`."""
        kind, name = _column("type"), _column("name")
        called = one_of(kind, [text(each) for each in ("track", "page", "screen")])
        own = every([called, one_of(name, [self._asks.bind(event)])]) if event else false()
        every_call = {ANY_PAGE: "page", ANY_SCREEN: "screen"}.get(event)
        return either([own, one_of(kind, [text(every_call)])] if every_call else [own])

    def holds(self, where: s.Expression | None, event: E) -> E:
        """Whether the row's event meets a filter; `event` says which events are asked at all.

        Raises:
            Unsupported: If SQL cannot say it.
        """
        return true() if where is None else self._holds(where, _Scope(event))

    def _holds(self, where: s.Expression, scope: _Scope) -> E:
        match where:
            case s.And(terms=terms):
                return every(self._holds(term, scope) for term in terms)
            case s.Or(terms=terms):
                return either(self._holds(term, scope) for term in terms)
            case s.Not(term=term):
                return negated(self._holds(term, scope))
            case s.Always():
                return true()
            case s.AnyOf(path=path, where=inner):
                return self._any_of(path, inner, scope)
            case _:
                return self._compares(where, scope)

    def _any_of(self, path: tuple[str, ...], inner: s.Expression, scope: _Scope) -> E:
        everywhere = self._json.parts(self._everywhere(path, scope))
        return self._json.exists_in(
            self._json.parts(self._values(path, scope)),
            lambda each: self._holds(inner, _Scope(scope.event, each, everywhere)),
        )

    def _compares(self, where: s.Expression, scope: _Scope) -> E:
        holds = self._comparer.holds
        match where:
            case s.Compare(op=op, left=left, right=right):
                return self._exists([left, right], scope, lambda a, b: holds(op, a, b))
            case s.BetweenValues(value=value, low=low, high=high):
                return self._exists(
                    [value, low, high], scope, lambda a, b, c: every([holds(">=", a, b), holds("<=", a, c)])
                )
            case s.In(value=value, options=options):
                return self._exists([value], scope, lambda each: self.one_of(each, options))
            case s.IsKnown(value=s.Property(path=path)):
                return self._json.exists(self._values(path, scope), self._json.dialect.known)
            case s.IsKnown(value=s.Constant()):
                return true()
            case s.Property() | s.Constant():
                return self._exists([where], scope, lambda each: holds("=", each, TRUE))
            case _:
                raise Unsupported("it cannot be asked of one event")

    def one_of(self, value: Typed, options: tuple[s.Constant, ...]) -> E:
        """Whether a value equals one of `options`; of a list, whether one of its elements does."""
        fixed = [Typed("constant", null(), constant=constant(option)) for option in options]
        if value.kind != "json":
            return either(self._comparer.holds("=", value, option) for option in fixed)
        wanted = [option.constant for option in fixed]
        d = self._json.dialect
        inside = self._json.exists_in(d.items(value.value), lambda each: self._comparer.equal_to_any(each, wanted))
        alone = self._comparer.equal_to_any(value.value, wanted)
        return either([every([sure(d.is_list(value.value)), inside]), sure(alone)])

    def _exists(self, operands: list[s.Expression], scope: _Scope, condition: Callable[..., E]) -> E:
        """Whether a condition holds for some choice of one value of each operand."""
        first, *rest = operands
        if not rest:
            return self._some(first, scope, condition)
        return self._some(first, scope, lambda a: self._exists(rest, scope, lambda *others: condition(a, *others)))

    def _some(self, operand: s.Expression, scope: _Scope, condition: Callable[[Typed], E]) -> E:
        match operand:
            case s.Constant():
                return condition(Typed("constant", null(), constant=constant(operand)))
            case s.Property(path=path):
                source = Source(self._json.as_list(self._everywhere(path, scope)), scope.event)
                return self._json.exists(
                    self._values(path, scope), lambda value: condition(Typed("json", value, (source,)))
                )
            case _:
                raise Unsupported("only properties of the event and constants can be compared in `where`")

    def _values(self, path: tuple[str, ...], scope: _Scope) -> Values:
        refuse_catalog(path)
        return self._json.property(path) if scope.element is None else self._json.below(scope.element, path)

    def _everywhere(self, path: tuple[str, ...], scope: _Scope) -> Values:
        """All values that `_values` may give for some element, on the event's row."""
        if scope.all_elements is None:
            return self._values(path, scope)
        json = self._json
        found = json.dialect.each(scope.all_elements, json.fresh(), lambda each: json.as_list(json.below(each, path)))
        return Values(many=json.dialect.flat(found))


def refuse_catalog(path: tuple[str, ...]) -> None:
    """Refuse a path that reads catalog items.

    Raises:
        Unsupported: If it does.
    """
    if CATALOG_STEP in path:
        raise Unsupported("it reads facts of catalog items")


TRUE = Typed("constant", null(), constant=True)


def _column(name: str) -> E:
    return column(name, "e")
