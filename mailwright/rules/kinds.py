"""Types that are known before anything runs: what a value can be, and which comparisons can never be true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never

from mailwright.rules import syntax as s
from mailwright.rules.values import Kind, Operator

Static = Kind | Literal["json", "any"]
"""A `Kind`, or: ``json`` for what events and traits bring (no date, instant or duration), ``any`` for no knowledge."""

_JSON: frozenset[Static] = frozenset({"boolean", "number", "text", "list", "object"})
_ORDERED: frozenset[Static] = frozenset({"number", "text", "date", "instant", "duration"})
_TEXT_OPS = frozenset({"starts_with", "ends_with", "matches"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """Types that a tracking plan declares.

    Attributes:
        traits: Dotted path -> type.
        properties: Event -> dotted path -> type.
    """

    traits: Mapping[str, Static] = field(default_factory=dict)
    properties: Mapping[str, Mapping[str, Static]] = field(default_factory=dict)

    def of_trait(self, path: tuple[str, ...]) -> Static:
        """The type of a trait."""
        return self.traits.get(".".join(path), "json")

    def of_property(self, event: str, path: tuple[str, ...]) -> Static:
        """The type of a property of an event; of a list, that of its elements is not known."""
        found = self.properties.get(event, {}).get(".".join(path), "json")
        return "json" if found == "list" else found


UNDECLARED = Declared()


def static_kind(
    node: s.Expression, attributes: Mapping[str, s.Expression], declared: Declared = UNDECLARED, event: str = ""
) -> Static:
    """The type that a value has whenever it is not missing.

    Args:
        node: Any expression.
        attributes: What attributes mean; free of cycles.
        declared: Types by the tracking plan; without them, what events and traits bring may be of any JSON type.
        event: The event that a filter asks, for its properties.
    """
    match node:
        case s.Constant(kind=kind):
            return kind
        case s.Property(path=path):
            return declared.of_property(event, path)
        case s.Trait(path=path):
            return declared.of_trait(path)
        case s.ContextFact():
            return "json"
        case s.Attribute(name=name):
            return static_kind(attributes[name], attributes, declared) if name in attributes else "any"
        case s.Age() | s.Rate() | s.Score() | s.LocalTime() | s.Arithmetic():
            return "number"
        case s.TimeSince():
            return "duration"
        case s.LastDistinct() | s.ListOf():
            return "list"
        case s.AsTime(kind=time):
            return time
        case s.Aggregate():
            return _aggregate_kind(node, declared)
        case s.Session(fact=fact):
            return _SESSION[fact]
        case s.Case(rows=rows, otherwise=otherwise):
            values = [value for _, value in rows] + ([otherwise] if otherwise else [])
            kinds = {static_kind(value, attributes, declared) for value in values}
            return kinds.pop() if len(kinds) == 1 else "any"
        case _:
            return "boolean"  # conditions


_SESSION: Mapping[str, Static] = {
    "count": "number",
    "length": "duration",
    "pages": "number",
    "start": "instant",
    "device": "json",
    "source": "json",
}


def _aggregate_kind(node: s.Aggregate, declared: Declared) -> Static:
    match node.function:
        case "count" | "sum" | "average" | "min" | "max" | "distinct":
            return "number"
        case "first" | "last" | "most_frequent":
            return declared.of_property(node.event, node.path) if node.path else "instant"
        case _:
            assert_never(node.function)


def can_be_condition(kind: Static) -> bool:
    """Whether a value of this type can be the boolean true."""
    return kind in ("boolean", "json", "any")


def can_be_equal(left: Static, right: Static) -> bool:
    """Whether two values of these types can be of one type; an instant beside a date counts by its day."""
    if "any" in (left, right) or left == right or {left, right} == {"date", "instant"}:
        return True
    return "json" in (left, right) and bool({left, right} & _JSON)


def can_match(op: Operator, left: Static, right: Static) -> bool:
    """Whether a comparison can be true for some values of these types."""
    if op == "contains":
        return left in ("list", "json", "any") or (left == "text" and can_be_equal("text", right))
    if op in _TEXT_OPS:
        return can_be_equal(left, "text") and can_be_equal(right, "text")
    if op in ("<", "<=", ">", ">=") and any(kind not in _ORDERED | {"json", "any"} for kind in (left, right)):
        return False
    return can_be_equal(left, right)
