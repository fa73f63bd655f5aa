"""What the engine answers of accounts; figures over members are made when they are asked for."""

from __future__ import annotations

from typing import Any

from mailwright.core.errors import NotFound
from mailwright.core.facts import AccountFacts, Member
from mailwright.profiles.accounts import rolled_up
from mailwright.runtime.engine.state import EngineState

MOST_MEMBERS = 200
"""Members that are named of one account."""


def accounts(state: EngineState, after: str | None, limit: int) -> list[AccountFacts]:
    """At most `limit` accounts after that id, in order of first appearance, without members and history.

    Raises:
        NotFound: ``account.unknown``.
    """
    start = -1 if after is None else state.accounts.number(after)
    if start is None:
        raise NotFound("account.unknown", f"there is no account {after!r}")
    return [_facts(state, number) for number in range(start + 1, min(start + 1 + limit, len(state.accounts)))]


def account(state: EngineState, group: str) -> list[AccountFacts]:
    """One account, or none."""
    number = state.accounts.number(group)
    return [] if number is None else [_facts(state, number, whole=True)]


def _facts(state: EngineState, number: int, *, whole: bool = False) -> AccountFacts:
    book = state.accounts
    first, last = book.seen(number)
    members = book.members(number)
    return AccountFacts(
        id=book.id(number),
        traits=book.traits(number),
        n_members=len(members),
        first_seen_at=first,
        last_seen_at=last,
        members=[Member(**each._asdict()) for each in members[:MOST_MEMBERS]] if whole else [],
        history=book.history(number) if whole else {},
        figures=_figures(state, number) if whole else {},
    )


def _figures(state: EngineState, number: int) -> dict[str, Any]:
    persons = [each.person for each in state.accounts.members(number)]
    found: dict[str, Any] = {}
    for name, one in state.project.profile.accounts.rollup.items():
        for function, attribute in one.asked().items():
            if function == "people":
                found[name] = len(persons)
            else:
                found[name] = rolled_up(function, state.fold.attribute(attribute, persons))
    return found
