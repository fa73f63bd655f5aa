"""Accounts, and people by an indexed trait, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from mailwright.core.facts import AccountFacts, Known
from mailwright.core.instants import format_iso, iso_or_none
from mailwright.web.access import allowed
from mailwright.web.bodies import json_response
from mailwright.web.context import WebContext
from mailwright.web.opening import opened
from mailwright.web.pages.accounts import account_facts
from mailwright.web.pages.shell import Context
from mailwright.web.pages.traits import having

router = APIRouter(prefix="/v1", dependencies=[Depends(allowed)])

_MOST_FOUND = 1000


@router.get("/people")
def people_having(
    context: Context,
    trait: Annotated[str, Query(min_length=1, max_length=120)],
    value: Annotated[str, Query(min_length=1, max_length=400)],
) -> Response:
    """Numbers of the people whose trait has this value now; the trait is declared with ``index: true``.

    The value is read as the trait is declared (a phone number in any spelling). At most 1,000 numbers are listed.
    """
    found = having(context, trait, value)
    return json_response({"people": found[:_MOST_FOUND], "count": len(found)})


@router.get("/accounts")
def accounts(
    context: Context,
    after: Annotated[str | None, Query(max_length=256)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Accounts in order of first appearance; `after` is the id of the last one that was seen."""
    found = context.engine.accounts(after, limit)
    more = found[-1].id if len(found) == limit else None
    return json_response({"accounts": [_brief(context, one) for one in found], "next": more})


@router.get("/accounts/{group:path}")
def account(context: Context, group: Annotated[str, Path(max_length=256)]) -> Response:
    """One account: traits with their history, figures over its members now, and the first members."""
    one = account_facts(context, group)
    told = {
        "history": history_body(context, one.history),
        "figures": one.figures,
        "people": [
            {"person": each.person, "since": format_iso(each.first_at), "last": format_iso(each.last_at)}
            for each in one.members
        ],
    }
    return json_response(_brief(context, one) | told)


def history_body(context: WebContext, history: Mapping[str, Sequence[Known]]) -> dict[str, list[dict[str, Any]]]:
    """Every kept write of each trait, newest first; a removal has the value null."""
    return {name: [known_body(context, one) for one in writes] for name, writes in history.items()}


def known_body(context: WebContext, one: Known) -> dict[str, Any]:
    """A value in clear text with its source and time."""
    value = opened(context, one.value)[0] if context.sealer.is_sealed(one.value) else one.value
    return {"value": value, "at": iso_or_none(one.at), "source": one.source}


def _brief(context: WebContext, one: AccountFacts) -> dict[str, Any]:
    return {
        "id": one.id,
        "traits": {name: known_body(context, known) for name, known in one.traits.items()},
        "members": one.n_members,
        "first_seen_at": format_iso(one.first_seen_at),
        "last_seen_at": format_iso(one.last_seen_at),
    }
