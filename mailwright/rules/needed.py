"""The rules that one rule needs, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mailwright.rules import syntax as s
from mailwright.rules.dependencies import named
from mailwright.rules.fold import Rules


def needed(rules: Rules, segments: Mapping[str, s.Expression], *, values: Mapping[str, s.Expression] = {}) -> Rules:
    """Rules with these segments and attributes and all that they ask about, directly or not.

    Args:
        rules: Where what they ask about is found; what is not found is left out, and the fold will tell of it.
        segments: The segments that are wanted.
        values: The attributes that are wanted.

    Returns:
        The rules, segments in the order of `rules` (their order of evaluation where nothing else is).
    """
    found: dict[str, s.Expression] = {}
    attributes: dict[str, s.Expression] = dict(values)
    waiting = [*segments.values(), *values.values()]
    found.update(segments)
    while waiting:
        for kind, name in named(waiting.pop()):
            source, taken = (rules.segments, found) if kind == "segment" else (rules.attributes, attributes)
            if name in source and name not in taken:
                taken[name] = source[name]
                waiting.append(source[name])
    ordered = {name: found[name] for name in (*rules.segments, *segments) if name in found}
    return replace(rules, attributes=attributes, segments=ordered, conditions={})
