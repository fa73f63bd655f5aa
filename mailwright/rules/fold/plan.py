"""The rules that are kept live, and what follows from them before anything is counted: order, meaning, windows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

import msgspec

from mailwright.core.errors import InvalidInput, nearest
from mailwright.rules import syntax as s


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What to keep live.

    Attributes:
        attributes: Declared computed attributes, by name.
        segments: Segments, by name; membership, sizes and changes are kept.
        conditions: Further named booleans, asked on demand: content rows, audiences, exits.
        zone: The shop's time zone, for people without one of their own.
        lists: Lists that do not change, by name: first identifiers (``kind:value``) of the people on them. Those that
            do are told by `Fold.enlist`.
    """

    attributes: Mapping[str, s.Expression]
    segments: Mapping[str, s.Expression]
    conditions: Mapping[str, s.Expression]
    zone: tzinfo
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def expressions(self) -> dict[str, s.Expression]:
        """All, by kind and name."""
        kinds = {"attribute": self.attributes, "segment": self.segments, "condition": self.conditions}
        return {f"{kind}:{name}": node for kind, nodes in kinds.items() for name, node in nodes.items()}


class Outline:
    """The expressions of a project with attributes resolved."""

    def __init__(self, attributes: Mapping[str, s.Expression]) -> None:
        self.attributes = attributes

    def attribute(self, name: str) -> s.Expression:
        """What a declared attribute means.

        Raises:
            InvalidInput: ``rule.attribute``, if there is none of that name.
        """
        if name not in self.attributes:
            message = f"there is no attribute {name!r}"
            raise InvalidInput.one("rule.attribute", message, hint=nearest(name, self.attributes))
        return self.attributes[name]

    def nodes(self, root: s.Expression, path: tuple[str, ...] = ()) -> Iterator[s.Node]:
        """Every node below `root`, through attributes, but not into filters of events.

        Raises:
            InvalidInput: ``rule.cycle``, if an attribute needs itself.
        """
        yield root
        if isinstance(root, s.Attribute):
            if root.name in path:
                raise InvalidInput.one("rule.cycle", f"attribute {root.name!r} needs itself: {' -> '.join(path)}")
            yield from self.nodes(self.attribute(root.name), (*path, root.name))
        for child in children(root):
            yield from self.nodes(child, path)


def children(node: s.Node) -> Iterator[s.Expression]:
    """The expressions directly below a node that are asked of the person; filters of events are not."""
    for name in node.__struct_fields__:
        if name not in ("where", "window"):
            yield from _expressions(getattr(node, name))


def _expressions(value: Any) -> Iterator[s.Expression]:
    if isinstance(value, s.Step):
        return
    if isinstance(value, s.Node):
        yield value  # type: ignore[misc]  # every other node below an expression is an expression
    elif isinstance(value, tuple):
        for part in value:
            yield from _expressions(part)


def properties_read(node: Any) -> set[str]:
    """What of an event a node reads, filters included: properties by name, parts of the context as ``context/part``."""
    if isinstance(node, tuple):
        return set().union(*(properties_read(part) for part in node))
    if not isinstance(node, s.Node):
        return set()
    heads: set[str] = set()
    for name in node.__struct_fields__:
        value = getattr(node, name)
        if name in ("path", "key", "same"):
            heads |= {_head(path) for path in (value if name == "same" else (value,)) if path}
        else:
            heads |= properties_read(value)
    return heads


def _head(path: tuple[str, ...]) -> str:
    return "/".join(path[:2]) if path[0] == "context" else path[0]


def in_order(segments: Mapping[str, s.Expression], outline: Outline) -> list[str]:
    """Names of segments, each after those it asks about.

    Raises:
        InvalidInput: ``rule.segment`` for one that does not exist, ``rule.cycle`` for one that needs itself.
    """
    order: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise InvalidInput.one("rule.cycle", f"segment {name!r} needs itself: {' -> '.join((*path, name))}")
        if name in order:
            return
        if name not in segments:
            raise InvalidInput.one("rule.segment", f"there is no segment {name!r}", hint=nearest(name, segments))
        for below in segments_asked(segments[name], outline):
            visit(below, (*path, name))
        order.append(name)

    for name in segments:
        visit(name, ())
    return order


def meanings(order: Sequence[str], segments: Mapping[str, s.Expression], outline: Outline) -> dict[str, str]:
    """A digest per segment of all that defines it: its own text, attributes and the segments it asks about."""
    found: dict[str, str] = {}
    for name in order:
        names = {node.name for node in outline.nodes(segments[name]) if isinstance(node, s.Attribute)}
        attributes = [(each, s.key(outline.attribute(each))) for each in sorted(names)]
        asked = [(each, found[each]) for each in sorted(segments_asked(segments[name], outline))]
        whole = msgspec.json.encode([s.key(segments[name]), attributes, asked])
        found[name] = hashlib.sha256(whole).hexdigest()
    return found


def segments_asked(root: s.Expression, outline: Outline) -> list[str]:
    """The segments that an expression asks about, in order of appearance."""
    return list(dict.fromkeys(node.name for node in outline.nodes(root) if isinstance(node, s.InSegment)))


def longest_windows(roots: Mapping[str, s.Expression], outline: Outline) -> dict[bytes, int]:
    """For what each aggregate reads (all but its function and window): the longest exact window asked of it."""
    longest: dict[bytes, int] = {}
    for root in roots.values():
        for node in outline.nodes(root):
            window = getattr(node, "window", None)
            if isinstance(window, s.Within):
                read = what_is_read(node)
                longest[read] = max(longest.get(read, 0), window.micros)
    return longest


def what_is_read(node: s.Node) -> bytes:
    """The event, filter and property that a node reads."""
    fields = (getattr(node, name, None) or None for name in ("event", "where", "path"))
    return msgspec.json.encode(tuple(fields))
