"""Why somebody was considered: the conditions that were asked, their answers, and the facts that they read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from mailwright.rules import syntax


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A condition with its answer for one person.

    Attributes:
        condition: Its name: ``campaign:weekly:audience``, ``content:hero:coffee``, ``segment:vip``.
        rule: Rule text.
        truth: The engine's answer at its last tick.
        uses: Named facts that the rule reads, as `facts_used` gives them.
    """

    condition: str
    rule: str
    truth: bool
    uses: tuple[str, ...] = ()


def facts_used(rule: syntax.Expression) -> tuple[str, ...]:
    """Named facts a rule reads: ``attribute spend``, ``trait email.domain``, ``segment vip``; sorted, each once.

    What it reads straight from events has no name; declare an attribute to see its value in decision records.
    """
    return tuple(sorted(set(_names(rule))))


def _names(node: Any) -> Iterator[str]:
    match node:
        case syntax.Attribute(name=name):
            yield f"attribute {name}"
        case syntax.Trait(path=path):
            yield f"trait {'.'.join(path)}"
        case syntax.Age():
            yield "trait birthday"
        case syntax.InSegment(name=name):
            yield f"segment {name}"
        case tuple():
            for part in node:
                yield from _names(part)
        case msgspec.Struct():
            for field in node.__struct_fields__:
                yield from _names(getattr(node, field))
