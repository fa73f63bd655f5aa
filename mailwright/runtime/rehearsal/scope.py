"""The rules that one question needs, and no others: a rehearsal keeps nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from mailwright.rules import syntax as s
from mailwright.rules.dependencies import walk
from mailwright.rules.fold import Rules
from mailwright.rules.needed import needed

ASKED = "(the rule)"
"""The name under which a rule that is no segment is rehearsed; brackets are in no segment's name that a rule asks."""

NO_RULES = Rules(attributes={}, segments={}, conditions={}, zone=UTC)


def rules_of(rules: Rules, segment: str) -> Rules:
    """The segment with all that it needs; no rules at all if there is no such segment."""
    node = rules.segments.get(segment)
    return needed(rules, {} if node is None else {segment: node})


def rules_in_turn(versions: Sequence[Rules], segment: str) -> list[Rules]:
    """Of each version the segment with all that it needs there, and what it needs in any other one.

    How long somebody has been in a segment goes on from one version to the next, also where the rule did not ask yet.
    """
    wanted = {segment}
    while True:
        told = [
            needed(rules, {name: node for name, node in rules.segments.items() if name in wanted}) for rules in versions
        ]
        found = {name for rules in told for name in rules.segments}
        if found <= wanted:
            return told
        wanted |= found


def rules_with(rules: Rules, node: s.Expression) -> Rules:
    """A further condition, as the segment `ASKED`, with all that it needs."""
    return needed(rules, {ASKED: node})


def rules_for_value(rules: Rules, node: s.Expression) -> Rules:
    """A further value, as the attribute `ASKED`, with all that it needs."""
    return needed(rules, {}, values={ASKED: node})


def asks_since(rules: Rules) -> bool:
    """Whether an answer depends on how long somebody has been in a segment: then every tick before it counts too."""
    roots = (*rules.segments.values(), *rules.attributes.values())
    return any(isinstance(node, s.InSegment) and node.for_micros is not None for root in roots for node in walk(root))


def is_condition(node: s.Expression, rules: Rules) -> bool:
    """Whether an expression is true or false by itself, an attribute being what it means."""
    while isinstance(node, s.Attribute) and node.name in rules.attributes:
        node = rules.attributes[node.name]
    return isinstance(node, s.Condition)
