"""Content rules: decision tables that fill one slot of a mail; the first row that holds wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

OTHERWISE = "otherwise"
"""What a choice calls the row that is taken when no other holds; no row may have this name."""


class RowDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One row: what to `use` for a person of whom the rule `when` is true."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    when: Annotated[str, msgspec.Meta(min_length=1)]
    use: dict[str, Any]


class ContentRuleDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A decision table (``content_rules/NAME.yaml``).

    Attributes:
        title: What pages call it.
        slot: Under which name the chosen values stand in a template: ``content.hero.headline`` for slot ``hero``.
        rows: In order of priority.
        otherwise: What to use when no row holds; empty fills nothing.
    """

    title: Annotated[str, msgspec.Meta(min_length=1)]
    slot: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    rows: list[RowDefinition] = []
    otherwise: dict[str, Any] = {}

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two rows are named {twice[0]!r}")
        if OTHERWISE in names:
            raise ValueError(f"a row may not be named {OTHERWISE!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a content rule chose.

    Attributes:
        rule: Name of the rule, and the `slot` it fills.
        row: Name of the winning row, or ``otherwise``.
        when: The winner's rule text; empty for ``otherwise``.
        use: The winner's values.
        lost: Rows that held too but come later.
    """

    rule: str
    slot: str
    row: str
    when: str
    use: Mapping[str, Any]
    lost: tuple[str, ...]


def condition_name(rule: str, row: str) -> str:
    """The name under which the engine evaluates a row's condition."""
    return f"content:{rule}:{row}"


def condition_names(name: str, rule: ContentRuleDefinition) -> dict[str, str]:
    """Condition name -> rule text of every row of the rule called `name`."""
    return {condition_name(name, row.name): row.when for row in rule.rows}


def choose(name: str, rule: ContentRuleDefinition, truths: Mapping[str, bool]) -> Choice:
    """The first row that holds.

    Args:
        name: Name of the rule.
        rule: Its definition.
        truths: Condition name -> truth for this person; one that was not asked for is false.
    """
    held = [row for row in rule.rows if truths.get(condition_name(name, row.name), False)]
    winner = held[0] if held else None
    return Choice(
        rule=name,
        slot=rule.slot,
        row=winner.name if winner else OTHERWISE,
        when=winner.when if winner else "",
        use=winner.use if winner else rule.otherwise,
        lost=tuple(later.name for later in held[1:]),
    )
