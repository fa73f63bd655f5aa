"""From expressions to SQL: two small queries for what Python must judge, then one for everything.

The fence of `stores.history_queries` takes each of them; their parameters are bound, never pasted.
"""

from __future__ import annotations

import json as plain_json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from decimal import ROUND_CEILING, Decimal
from typing import Any

import msgspec
import sqlglot
from sqlglot import exp

from mailwright.core.errors import InvalidInput, Issue, Span, UnsupportedRule, nearest
from mailwright.core.instants import Instant
from mailwright.rules import syntax as s
from mailwright.rules.show import show
from mailwright.rules.sql.asks import Asks, Source, merged
from mailwright.rules.sql.compare import Comparer, SqlKind, Typed, Unsupported, micros_of
from mailwright.rules.sql.filters import TRUE, Filters
from mailwright.rules.sql.leaves import Leaves, context_value, trait_written
from mailwright.rules.sql.local import Local
from mailwright.rules.sql.paths import Json
from mailwright.rules.sql.relations import Relations
from mailwright.rules.sql.spark import dialect_named
from mailwright.rules.sql.trees import (
    E,
    binary,
    call,
    cast,
    choose,
    column,
    either,
    every,
    false,
    is_known,
    is_null,
    joined,
    negated,
    null,
    number,
    text,
    true,
)
from mailwright.rules.values import Duration, Moment, constant, from_micro_units, kind_of
from mailwright.rules.zones import ZONE

HINT = "SQL cannot run it: use the fold over History"


@dataclass(frozen=True, slots=True)
class Definitions:
    """What names in rules stand for."""

    attributes: Mapping[str, s.Expression]
    segments: Mapping[str, s.Expression]


class Compiled:
    """Several expressions as queries over the relations of `relations`.

    Ask `gather` and `zones` (each may be None), hand their rows to `parameters`, then ask `main` with them; `decode`
    reads what it gives.
    """

    def __init__(self, expressions: Mapping[str, s.Expression], definitions: Definitions, dialect: str) -> None:
        """Compile.

        Args:
            expressions: Name -> expression; attributes and conditions alike.
            definitions: What they name.
            dialect: ``duckdb`` or ``spark``.

        Raises:
            UnsupportedRule: ``rule.sql``, if an expression holds a node that SQL does not run.
            InvalidInput: If it names what is not declared.
        """
        self._dialect = dialect_named(dialect)
        self._json = Json(self._dialect)
        self._asks = Asks(self._json)
        self._local = Local(self._json)
        self._people = _People(self._json, self._asks, self._local, definitions)
        self._columns = {name: self._people.told(node) for name, node in expressions.items()}

    # --- queries ---

    def gather(self, relations: Relations) -> str | None:
        """Distinct (ask, value) that Python must judge."""
        found = self._asks.query()
        return None if found is None else self._printed(found, relations)

    def zones(self, relations: Relations) -> str | None:
        """Distinct (at, what was told of the zone) of the moments, if anything depends on them."""
        if not self._local.asked:
            return None
        return self._printed(self._local.pairs(), [*relations, ("zoned", self._zoned())])

    def main(self, relations: Relations) -> str:
        """One row per moment: ``moment`` and a column per expression, named ``c0``, ``c1``, ... in their order."""
        there: list[tuple[str, exp.Query]] = list(relations)
        asked = "moments"
        if self._local.asked:
            there += [("zoned", self._zoned()), *self._local.relations()]
            asked = "placed"
        shown = [exp.alias_(self._outward(value), f"c{place}") for place, value in enumerate(self._columns.values())]
        query = exp.select(column("moment", "m"), *shown).from_(exp.alias_(exp.to_table(asked), "m"))
        for name, alias, made in (("facts", "f", self._facts(asked)), ("onlists", "l", self._people.lists())):
            if made is not None:
                there.append((name, made))
                same = binary("=", column("moment", alias), column("moment", "m"))
                query = query.join(exp.alias_(exp.to_table(name), alias), on=same, join_type="left")
        return self._printed(query, there)

    def parameters(
        self, gathered: Iterable[tuple[str, str]], zones: Iterable[tuple[int, str]], shop: tzinfo
    ) -> dict[str, Any]:
        """Parameters of all three queries; `shop` is the zone of people who told none."""
        return self._asks.bound | self._asks.answers(gathered) | self._local.bound(zones, shop)

    @property
    def bound(self) -> dict[str, Any]:
        """Parameters of the first two queries."""
        return dict(self._asks.bound)

    def decode(self, row: Sequence[Any]) -> dict[str, Any]:
        """Run-time values (see `rules.values`) by name, from the columns after ``moment``."""
        return {
            name: _decoded(value.kind, cell) for (name, value), cell in zip(self._columns.items(), row, strict=True)
        }

    # --- pieces ---

    def _zoned(self) -> exp.Select:
        seen, _ = context_value(self._json, ZONE)
        told = {"said": trait_written(self._json, ZONE), "seen": seen}
        order = column("stamp", "e"), column("offset", "e")
        return self._grouped(
            "moments", {name: self._dialect.newest(value, true(), *order) for name, value in told.items()}
        )

    def _facts(self, asked: str) -> exp.Select | None:
        columns = self._people.leaves.columns
        return self._grouped(asked, columns) if columns else None

    def _grouped(self, asked: str, columns: Mapping[str, E]) -> exp.Select:
        """One row per moment that has events: the events are those known and past at its instant."""
        reach = [
            binary("=", column("person", "e"), column("person", "m")),
            binary("<=", column("owned_from", "e"), column("offset", "m")),
            either(
                [is_null(column("owned_until", "e")), binary(">", column("owned_until", "e"), column("offset", "m"))]
            ),
            binary("<=", column("known", "e"), column("at", "m")),
            binary("<=", column("stamp", "e"), column("at", "m")),
        ]
        return (
            exp.select(column("moment", "m"), *(exp.alias_(made.copy(), name) for name, made in columns.items()))
            .from_(exp.alias_(exp.to_table(asked), "m"))
            .join(exp.alias_(exp.to_table("known_events"), "e"), on=every(reach))
            .group_by(column("moment", "m"))
        )

    def _outward(self, value: Typed) -> E:
        match value.kind:
            case "json":
                return choose([(self._dialect.known(value.value), self._dialect.raw(value.value))])
            case "units":
                return cast(value.value, "VARCHAR")
            case "constant":
                return null()
            case _:
                return value.value

    def _printed(self, query: exp.Query, relations: Relations) -> str:
        for name, made in relations:
            query = query.with_(exp.to_identifier(name), as_=made.copy())
        return query.sql(dialect=self._dialect.name)

    def shown(self, relations: Relations) -> str:
        """The main query for people to read: over several lines, its constants written into it.

        What Python must judge first stays a parameter: ``a1``, ``local_at``.
        """
        fixed = self._asks.bound

        def written(node: E) -> E:
            known = isinstance(node, exp.Placeholder) and node.name in fixed
            return text(fixed[node.name]) if known else node  # all that rules bind is text

        tree = sqlglot.parse_one(self.main(relations), dialect=self._dialect.name)
        return tree.transform(written).sql(dialect=self._dialect.name, pretty=True)


def _decoded(kind: SqlKind, cell: Any) -> Any:
    if cell is None:
        return None
    match kind:
        case "json":
            return plain_json.loads(cell, parse_float=Decimal)
        case "units":
            return from_micro_units(int(cell))
        case "instant":
            return Moment(Instant(cell))
        case "duration":
            return Duration(cell)
        case "date":
            return date.fromordinal(cell + 719_163)
        case _:
            return cell


class _People:
    """Expressions about a person as SQL over the columns of leaves."""

    def __init__(self, json: Json, asks: Asks, local: Local, definitions: Definitions) -> None:
        self._json = json
        self._asks = asks
        self._local = local
        self._definitions = definitions
        self._comparer = Comparer(json, asks)
        self._filters = Filters(json, asks, self._comparer)
        self._lists: dict[str, tuple[str, E]] = {}  # name -> its column, the name as a parameter
        self._open: list[str] = []
        self.leaves = Leaves(json, asks, self._comparer, local)

    def told(self, node: s.Expression) -> Typed:
        """The value of an expression, in a form that can be decoded.

        Raises:
            UnsupportedRule: If it holds a node that SQL does not run.
        """
        value = self._value(node)
        if value.kind == "constant":
            return self._native(value) if kind_of(value.constant) in _NATIVE else self._as_json(value)
        return value

    def _value(self, node: s.Expression) -> Typed:
        try:
            return self._made(node)
        except Unsupported as reason:
            raise refusal(node, str(reason)) from None
        except UnsupportedRule as inner:
            raise within(node, inner) from None

    def _made(self, node: s.Expression) -> Typed:
        match node:
            case s.Constant():
                return Typed("constant", null(), constant=constant(node))
            case s.Trait(path=path):
                return self.leaves.trait(path)
            case s.ContextFact(path=path):
                return self.leaves.context(path)
            case s.Aggregate():
                return self.leaves.aggregate(node)
            case s.TimeSince():
                return self.leaves.time_since(node)
            case s.LocalTime(part=part):
                return Typed("units", binary("*", cast(self._local.part(part), self._json.dialect.huge), number(10**6)))
            case s.Attribute(name=name):
                return self._named("attribute", name, self._definitions.attributes)
            case s.Case():
                return self._case(node)
            case _:
                return Typed("boolean", self._condition(node))

    def _named(self, what: str, name: str, known: Mapping[str, s.Expression]) -> Typed:
        if name not in known:
            raise InvalidInput.one(f"rule.{what}", f"there is no {what} {name!r}", hint=nearest(name, known))
        label = f"{what} {name}"
        if label in self._open:
            raise InvalidInput.one("rule.cycle", f"{label} needs itself: {' -> '.join([*self._open, label])}")
        self._open.append(label)
        try:
            return self._value(known[name])
        finally:
            self._open.pop()

    # --- conditions ---

    def _holds(self, node: s.Expression) -> E:
        value = self._value(node)
        return value.value if value.kind == "boolean" else self._comparer.holds("=", value, TRUE)

    def _condition(self, node: s.Expression) -> E:
        match node:
            case s.Always():
                return true()
            case s.And(terms=terms):
                return every(self._holds(term) for term in terms)
            case s.Or(terms=terms):
                return either(self._holds(term) for term in terms)
            case s.Not(term=term):
                return negated(self._holds(term))
            case s.Compare(op=op, left=left, right=right):
                return self._comparer.holds(op, self._value(left), self._value(right))
            case s.BetweenValues(value=value, low=low, high=high):
                found = self._value(value)
                sides = (
                    self._comparer.holds(">=", found, self._value(low)),
                    self._comparer.holds("<=", found, self._value(high)),
                )
                return every(sides)
            case s.In(value=value, options=options):
                return self._filters.one_of(self._value(value), options)
            case s.IsKnown(value=value):
                return self._known(self._value(value))
            case s.Did(event=event, where=where, times=times, window=window):
                rows = self.leaves.rows(event, where, window)
                return binary(">=", self.leaves.n_events(rows), number(times))
            case s.InSegment(name=name, for_micros=None):
                inside = self._named("segment", name, self._definitions.segments)
                return inside.value if inside.kind == "boolean" else self._comparer.holds("=", inside, TRUE)
            case s.InList(name=name):
                flag, _ = self._lists.setdefault(name, (f"l{len(self._lists) + 1}", self._asks.bind(name)))
                return call("coalesce", column(flag, "l"), false())
            case s.RandomBucket(salt=salt, percent=percent):
                return self._bucket(salt, Decimal(percent))
            case _:
                raise Unsupported(f"{type(node).__name__} is not said in SQL")

    def _known(self, value: Typed) -> E:
        match value.kind:
            case "json":
                return self._json.dialect.known(value.value)
            case "constant" | "boolean":
                return true()
            case _:
                return is_known(value.value)

    def _bucket(self, salt: str, percent: Decimal) -> E:
        limit = int((percent * 2**32 / 100).to_integral_value(ROUND_CEILING))
        if limit <= 0 or limit >= 2**32:
            return true() if limit > 0 else false()
        hashed = call("md5", joined(self._asks.bind(f"{salt}:"), column("first_identifier", "m")))
        return binary("<", call("left", hashed, number(8)), text(f"{limit:08x}"))

    def lists(self) -> exp.Select | None:
        """Who is on the lists that were asked for, one row per moment that is on any."""
        if not self._lists:
            return None
        since, until = column("listed_from", "g"), column("listed_until", "g")
        on = [
            binary("=", column("person", "g"), column("person", "m")),
            binary("<=", since, column("offset", "m")),
            either([is_null(until), binary(">", until, column("offset", "m"))]),
        ]
        flags = [
            exp.alias_(call("bool_or", binary("=", column("name", "g"), name)), flag)
            for flag, name in self._lists.values()
        ]
        return (
            exp.select(column("moment", "m"), *flags)
            .from_(exp.alias_(exp.to_table("moments"), "m"))
            .join(exp.alias_(exp.to_table("listings"), "g"), on=every(on))
            .group_by(column("moment", "m"))
        )

    # --- case ---

    def _case(self, node: s.Case) -> Typed:
        rows = [(self._holds(when), self._value(value)) for when, value in node.rows]
        last = None if node.otherwise is None else self._value(node.otherwise)
        values = [value for _, value in rows] + ([last] if last else [])
        kind, fit = self._common(values)
        made = choose([(when, fit(value).value) for when, value in rows], None if last is None else fit(last).value)
        return Typed(kind, made, merged(*(fit(value).sources for value in values)))

    def _common(self, values: Sequence[Typed]) -> tuple[SqlKind, Callable[[Typed], Typed]]:
        kinds = {kind_of(value.constant) if value.kind == "constant" else value.kind for value in values}
        if len(kinds) == 1 and (only := next(iter(kinds))) in _NATIVE:
            return _NATIVE[only], self._native
        if kinds <= {"json", "units", "number", "text", "boolean"}:
            return "json", self._as_json
        raise Unsupported("the values of its rows have different types")

    def _native(self, value: Typed) -> Typed:
        if value.kind != "constant":
            return value
        return Typed(_NATIVE[kind_of(value.constant)], cast(number(micros_of(value.constant)), "BIGINT"))

    def _as_json(self, value: Typed) -> Typed:
        d = self._json.dialect
        match value.kind:
            case "json":
                return value
            case "units":
                shown = joined(cast(value.value, "VARCHAR"), text("e-6"))
                return Typed("json", d.document(cast(shown, "JSON") if d.name == "duckdb" else shown))
            case "boolean":
                return Typed("json", d.true_or_false(value.value))
            case _:
                return self._constant_json(value.constant)

    def _constant_json(self, value: Any) -> Typed:
        d = self._json.dialect
        is_text = isinstance(value, str)
        told = str(value) if isinstance(value, Decimal) else msgspec.json.encode(value).decode()
        literal = self._asks.bind(told) if is_text else text(told)
        made = d.document(cast(literal, "JSON") if d.name == "duckdb" else literal)
        return Typed("json", made, (Source(null(), null(), fixed=value),) if is_text else ())


_NATIVE: dict[str, SqlKind] = {"instant": "instant", "duration": "duration", "date": "date"}


def refusal(node: s.Expression, reason: str) -> UnsupportedRule:
    """The error that names a node, with its place in the rule's text once `within` has seen the whole."""
    shown = show(node)
    span = Span(line=1, column=1, length=len(shown))
    return UnsupportedRule("rule.sql", [Issue(path="", message=reason, hint=HINT, span=span, source=shown)])


def within(node: s.Expression, inner: UnsupportedRule) -> UnsupportedRule:
    """The same error with its place in the text of `node`, which holds the refused one; the error itself if not."""
    issue = inner.issues[0]
    shown = show(node)
    wanted = issue.source[issue.span.column - 1 :][: issue.span.length] if issue.span else ""
    at = shown.find(wanted) if wanted else -1
    if at < 0:
        return inner
    span = Span(line=1, column=at + 1, length=len(wanted))
    return UnsupportedRule(
        inner.code, [Issue(path=issue.path, message=issue.message, hint=issue.hint, span=span, source=shown)]
    )
