"""Accounts, and people by an indexed trait, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from mailwright.core.facts import AccountFacts, Known
from mailwright.core.instants import format_iso, iso_or_none
from mailwright.privacy.sealing import UNREADABLE
from mailwright.web.access import allowed
from mailwright.web.context import WebContext
from mailwright.web.described import ApiRoute, Told, When, also
from mailwright.web.pages.accounts import account_facts
from mailwright.web.pages.shell import Context
from mailwright.web.pages.traits import having

router = APIRouter(prefix="/v1", tags=["People and messages"], dependencies=[Depends(allowed)], route_class=ApiRoute)

_MOST_FOUND = 1000


class KnownTold(Told):
    """A value in clear text with its source and time; a removal has the value null."""

    value: Any
    at: When | None
    source: str


class PeopleFound(Told):
    """The first 1,000 of `count` people, by number."""

    people: list[int]
    count: int


class AccountBrief(Told):
    """An account and how many members it has now."""

    id: str
    traits: dict[str, KnownTold]
    members: int
    first_seen_at: When
    last_seen_at: When


class Accounts(Told):
    """A page of accounts; `next` is the `after` of the next, null at the end."""

    accounts: list[AccountBrief]
    next: str | None


class MemberTold(Told):
    """A person of an account: stamps of the first and the last call that said so."""

    person: int
    since: When
    last: When


class AccountTold(AccountBrief):
    """An account with its past.

    Attributes:
        history: Trait -> its kept writes, newest first.
        figures: What the project declares, over the members now.
        people: The first members.
    """

    history: dict[str, list[KnownTold]]
    figures: dict[str, Any]
    people: list[MemberTold]


@router.get("/people")
@also(404)
def people_having(
    context: Context,
    trait: Annotated[str, Query(min_length=1, max_length=120)],
    value: Annotated[str, Query(min_length=1, max_length=400)],
) -> PeopleFound:
    """Numbers of the people whose trait has this value now; the trait is declared with ``index: true``.

    The value is read as the trait is declared (a phone number in any spelling). At most 1,000 numbers are listed.
    """
    found = having(context, trait, value)
    return PeopleFound(people=list(found[:_MOST_FOUND]), count=len(found))


@router.get("/accounts")
@also(404)
def accounts(
    context: Context,
    after: Annotated[str | None, Query(max_length=256)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Accounts:
    """Accounts in order of first appearance; `after` is the id of the last one that was seen."""
    found = context.engine.accounts(after, limit)
    more = found[-1].id if len(found) == limit else None
    return Accounts(accounts=[AccountBrief(**_brief(context, one)) for one in found], next=more)


@router.get("/accounts/{group:path}")
@also(404)
def account(context: Context, group: Annotated[str, Path(max_length=256)]) -> AccountTold:
    """One account: traits with their history, figures over its members now, and the first members."""
    one = account_facts(context, group)
    return AccountTold(
        **_brief(context, one),
        history=history_told(context, one.history),
        figures=dict(one.figures),
        people=[
            MemberTold(person=each.person, since=format_iso(each.first_at), last=format_iso(each.last_at))
            for each in one.members
        ],
    )


def history_told(context: WebContext, history: Mapping[str, Sequence[Known]]) -> dict[str, list[KnownTold]]:
    """Every kept write of each trait, newest first; a removal has the value null."""
    return {name: [known_told(context, one) for one in writes] for name, writes in history.items()}


def known_told(context: WebContext, one: Known) -> KnownTold:
    """A value in clear text with its source and time."""
    value = context.sealer.opened(one.value, UNREADABLE)
    return KnownTold(value=value, at=iso_or_none(one.at), source=one.source)


def _brief(context: WebContext, one: AccountFacts) -> dict[str, Any]:
    """The fields of `AccountBrief`."""
    return {
        "id": one.id,
        "traits": {name: known_told(context, known) for name, known in one.traits.items()},
        "members": one.n_members,
        "first_seen_at": format_iso(one.first_seen_at),
        "last_seen_at": format_iso(one.last_seen_at),
    }
