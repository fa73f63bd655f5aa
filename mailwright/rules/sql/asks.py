"""What must be known before the main query: distinct values that Python judges, so that no engine's rules leak in.

Text predicates fold case and match RE2 in `values.text_holds` alone; lists and objects are told apart by
`values.identity` alone. The first query gathers the distinct texts (or lists, objects) that a rule can meet, Python
answers, and the answers are bound to the main query.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlglot import exp

from mailwright.rules.sql.dialects import DuckDB
from mailwright.rules.sql.numbers import key_of_number
from mailwright.rules.sql.paths import Json
from mailwright.rules.sql.trees import E, column, sure, text
from mailwright.rules.values import Operator, number, text_holds

NESTED = "nested"


@dataclass(frozen=True, slots=True)
class Source:
    """JSON values in the row ``e`` of an event: a list of them, and which events have a say; or a `fixed` text."""

    values: E
    events: E
    fixed: str | None = None


@dataclass
class _Ask:
    op: Operator | None  # None: which lists and objects are equal
    pattern: str
    sources: dict[str, Source] = field(default_factory=dict)


class Asks:
    """The questions of one query and the parameters that all its parts share."""

    def __init__(self, json: Json) -> None:
        self._json = json
        self._asks: dict[str, _Ask] = {}
        self._names: dict[tuple[Any, ...], str] = {}
        self.bound: dict[str, Any] = {}

    def bind(self, value: Any) -> E:
        """A parameter with this value."""
        key = (type(value).__name__, value)
        if key not in self._names:
            self._names[key] = f"p{len(self._names) + 1}"
            self.bound[self._names[key]] = value
        return exp.Placeholder(this=self._names[key])

    def text_holds(self, value: E, op: Operator, pattern: str, sources: Iterable[Source]) -> E:
        """Whether a text predicate is true of a text that is one of those that `sources` give."""
        name = self._ask(op, pattern, sources)
        return self._json.dialect.contains(self._json.dialect.texts(exp.Placeholder(this=name)), value)

    def canon(self, sources: Iterable[Source]) -> _Canon:
        """A function from the JSON text of a list or object, one of `sources`, to a text that equal ones share."""
        return _Canon(self._json.dialect, self._ask(None, NESTED, sources))

    def _ask(self, op: Operator | None, pattern: str, sources: Iterable[Source]) -> str:
        found = {f"{source.fixed!r} {source.values.sql()} / {source.events.sql()}": source for source in sources}
        # Lists and objects share one question: they must be compared with each other.
        key = ("ask", op, pattern, tuple(sorted(found)) if op else ())
        name = self._names.setdefault(key, f"a{len(self._names) + 1}")
        ask = self._asks.setdefault(name, _Ask(op, pattern))
        ask.sources.update(found)
        return name

    def query(self) -> exp.Query | None:
        """Distinct (ask, value) over the relation ``known_events``; None if nothing is asked."""
        selects = [self._select(name, source) for name, source in self._sources() if source.fixed is None]
        if not selects:
            return None
        found: exp.Query = selects[0]
        for more in selects[1:]:
            found = exp.union(found, more, distinct=False)
        return found

    def _sources(self) -> Iterable[tuple[str, Source]]:
        return ((name, source) for name, ask in self._asks.items() for source in ask.sources.values())

    def _select(self, name: str, source: Source) -> exp.Select:
        json, value = self._json, column("value", "each")
        nested = self._asks[name].op is None
        told = json.dialect.raw(value) if nested else json.dialect.text_of(value)
        inner = (
            exp.select(exp.alias_(json.dialect.rows_of(source.values), "value"))
            .from_(exp.alias_(exp.to_table("known_events"), "e"))
            .where(source.events.copy())
        )
        kind = json.is_nested(value) if nested else json.dialect.is_text(value)
        return (
            exp.select(exp.alias_(text(name), "ask"), exp.alias_(told, "value"))
            .distinct()
            .from_(inner.subquery("each"))
            .where(sure(kind))
        )

    def answers(self, rows: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Parameters of the main query from the rows of `query`, asked once each."""
        told: dict[str, list[str]] = {name: [] for name in self._asks}
        fixed = [(name, source.fixed) for name, source in self._sources() if source.fixed is not None]
        for name, value in [*rows, *fixed]:
            told[name].append(value)
        found: dict[str, Any] = {}
        for name, ask in self._asks.items():
            values = sorted(set(told[name]))
            if ask.op is None:
                found |= {name: values, f"{name}_keys": [canonical(msgspec.json.decode(value)) for value in values]}
            else:
                found[name] = [value for value in values if text_holds(ask.op, value, ask.pattern)]
        return found


@dataclass(frozen=True, slots=True)
class _Canon:
    dialect: DuckDB
    name: str

    def __call__(self, raw: E) -> E:
        d = self.dialect
        keys = d.texts(exp.Placeholder(this=f"{self.name}_keys"))
        place = d.place_of(d.texts(exp.Placeholder(this=self.name)), raw)
        return exp.Bracket(this=exp.Paren(this=keys), expressions=[place])


def canonical(value: Any) -> str:
    """A text that two JSON values share exactly when `values.identity` is the same."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            return msgspec.json.encode(value).decode()
        case dict():
            return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(canonical, value)) + "]"
        case _:
            exact = number(value)
            return "null" if exact is None else key_of_number(exact)


def merged(*groups: Sequence[Source]) -> tuple[Source, ...]:
    """All sources."""
    return tuple(source for group in groups for source in group)
