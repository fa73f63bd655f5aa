"""Text that the tracking plan declares as an instant or a date is read as one: the plan's types, put into the tree."""

from __future__ import annotations

from typing import Any, Literal

from mailwright.rules import syntax as s
from mailwright.rules.kinds import Declared

_TIMES = ("date", "instant")


def typed(node: s.Expression, declared: Declared) -> s.Expression:
    """The same rule with ``date of`` or ``instant of`` around declared values wherever they are compared as time.

    Comparisons with text stay as they are (``trait renewal starts with '2026-'``).
    """
    made: s.Expression = _part(node, declared, "")
    return made


def typed_value(node: s.Expression, declared: Declared) -> s.Expression:
    """Like `typed`, for what an attribute is: its own value is read as time too."""
    return _read(typed(node, declared), declared, "")


def _part(value: Any, declared: Declared, event: str) -> Any:
    if isinstance(value, tuple):
        return tuple(_part(each, declared, event) for each in value)
    if not isinstance(value, s.Node):
        return value
    inside = getattr(value, "event", None) or getattr(value, "hit", None) or event
    made = type(value)(**{name: _part(getattr(value, name), declared, inside) for name in value.__struct_fields__})
    return _compared(made, declared, event)


def _compared(node: Any, declared: Declared, event: str) -> Any:
    match node:
        case s.Compare(op="=" | "!=" | "<" | "<=" | ">" | ">=" as op, left=left, right=right):
            if not (_is_text(left) or _is_text(right)):
                return s.Compare(op=op, left=_read(left, declared, event), right=_read(right, declared, event))
        case s.BetweenValues(value=value, low=low, high=high):
            if not (_is_text(low) or _is_text(high)):
                bounds = (_read(bound, declared, event) for bound in (value, low, high))
                return s.BetweenValues(**dict(zip(("value", "low", "high"), bounds, strict=True)))
        case s.In(value=value, options=options):
            if not any(map(_is_text, options)):
                return s.In(value=_read(value, declared, event), options=options)
    return node


def _is_text(node: s.Expression) -> bool:
    return isinstance(node, s.Constant) and node.kind == "text"


def _read(node: s.Expression, declared: Declared, event: str) -> s.Expression:
    kind = "json"
    match node:
        case s.Trait(path=path):
            kind = declared.of_trait(path)
        case s.Property(path=path):
            kind = declared.of_property(event, path)
        case s.Aggregate(function="first" | "last" | "most_frequent", event=name, path=(_, *_) as path):
            kind = declared.of_property(name, path)
    if kind not in _TIMES:
        return node
    time: Literal["date", "instant"] = "date" if kind == "date" else "instant"
    return s.AsTime(kind=time, of=node)
