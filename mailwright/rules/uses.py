"""What a rule reads: events, their properties, traits and facts of the context."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mailwright.rules import syntax as s

_EVENT_FIELDS = ("event", "add", "remove", "clear", "hit", "of")
"""Fields of nodes that name an event."""

_PATH_FIELDS = ("path", "key")


@dataclass(frozen=True, slots=True)
class Uses:
    """What is read, by name.

    Attributes:
        properties: (event, first step of the path).
        context: Paths into the context, dotted.
    """

    events: set[str] = field(default_factory=set)
    properties: set[tuple[str, str]] = field(default_factory=set)
    traits: set[str] = field(default_factory=set)
    context: set[str] = field(default_factory=set)


def uses_of(node: s.Expression) -> Uses:
    """Everything that an expression reads itself; not what the attributes and segments that it names read."""
    found = Uses()
    _read(node, (), found)
    return found


def _read(value: Any, events: tuple[str, ...], found: Uses) -> None:
    if isinstance(value, tuple):
        for part in value:
            _read(part, events, found)
    if not isinstance(value, s.Node):
        return
    match value:
        case s.Trait(path=path):
            found.traits.add(path[0])
            return
        case s.Age():
            found.traits.add("birthday")
            return
        case s.ContextFact(path=path):
            found.context.add(".".join(path))
            return
    named = tuple(_events(value))
    found.events.update(named)
    inside = named or events
    for name in value.__struct_fields__:
        part = getattr(value, name)
        if name in _PATH_FIELDS and part:
            _add_path(part, inside, found)
        elif name == "same":
            for path in part:
                _add_path(path, inside, found)
        elif name not in _EVENT_FIELDS:
            _read(part, inside, found)


def _events(node: s.Node) -> Iterator[str]:
    if isinstance(node, s.Score):
        yield from (name for name, _ in node.points)
        return
    if isinstance(node, s.Sequence):
        yield from (step.event for step in node.steps)
        return
    for name in _EVENT_FIELDS:
        value = getattr(node, name, None)
        if isinstance(value, str) and value:
            yield value


def _add_path(path: tuple[str, ...], events: tuple[str, ...], found: Uses) -> None:
    if path[0] == "context":
        found.context.add(".".join(path[1:]))
    else:
        found.properties.update((event, path[0]) for event in events)
