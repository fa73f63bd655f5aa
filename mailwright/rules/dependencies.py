"""What definitions name each other: cycles, and the order of evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from mailwright.core.errors import InvalidInput
from mailwright.rules import syntax as s

Name = tuple[Literal["attribute", "segment"], str]


def walk(node: s.Expression) -> Iterator[s.Expression]:
    """A node and all below it, filters included; not into the attributes and segments that it names."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += reversed(s.children(found))


def named(node: s.Expression) -> list[Name]:
    """The attributes and segments that an expression names itself, in order of appearance, each once."""
    found: dict[Name, None] = {}
    for inner in walk(node):
        if isinstance(inner, s.Attribute):
            found[("attribute", inner.name)] = None
        elif isinstance(inner, s.InSegment):
            found[("segment", inner.name)] = None
    return list(found)


def find_cycle(attributes: Mapping[str, s.Expression], segments: Mapping[str, s.Expression]) -> list[Name] | None:
    """A chain of definitions that leads back to its beginning, which it names at both ends; None if there is none."""
    return _visit_all(_all(attributes, segments))[1]


def order(segments: Mapping[str, s.Expression], attributes: Mapping[str, s.Expression]) -> list[str]:
    """Names of the segments, each after those that it asks for, directly or through attributes; else as declared.

    Raises:
        InvalidInput: If definitions form a cycle (``rule.cycle``).
    """
    done, cycle = _visit_all(_all(attributes, segments))
    if cycle:
        raise InvalidInput.one("rule.cycle", cycle_message(cycle), hint="take one of these references out")
    return [name for what, name in done if what == "segment"]


def cycle_message(cycle: list[Name]) -> str:
    """A sentence that names every link of a cycle."""
    return "definitions need each other in a circle: " + " -> ".join(f"{what} {name}" for what, name in cycle)


def _all(attributes: Mapping[str, s.Expression], segments: Mapping[str, s.Expression]) -> dict[Name, list[Name]]:
    needs: dict[Name, list[Name]] = {("attribute", name): named(node) for name, node in attributes.items()}
    return needs | {("segment", name): named(node) for name, node in segments.items()}


def _visit_all(needs: Mapping[Name, list[Name]]) -> tuple[list[Name], list[Name] | None]:
    """Depth first, without recursion: names in the order in which they are complete, or the first cycle met."""
    done: dict[Name, None] = {}
    for root in needs:
        path = [root]
        while path:
            missing = next((name for name in needs.get(path[-1], ()) if name not in done and name in needs), None)
            if missing is None:
                done[path.pop()] = None
            elif missing in path:
                return list(done), [*path[path.index(missing) :], missing]
            else:
                path.append(missing)
    return list(done), None
