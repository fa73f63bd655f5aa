"""The pages of accounts: companies, households, teams, as group calls tell of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request
from starlette.responses import RedirectResponse, Response

from mailwright.core.errors import NotFound
from mailwright.core.facts import AccountFacts, Known
from mailwright.web.context import WebContext
from mailwright.web.opening import opened
from mailwright.web.pages.people import person_rows
from mailwright.web.pages.shell import Context, pages_router
from mailwright.web.pages.traits import trait_rows
from mailwright.web.templating import page_response, value_text

router = pages_router()

Group = Annotated[str, Path(max_length=256)]
_SHOWN_TRAITS = 3
_SHOWN_MEMBERS = 50


@router.get("/accounts")
def accounts(
    request: Request,
    context: Context,
    after: Annotated[str | None, Query(max_length=256)] = None,
    q: Annotated[str, Query(max_length=256)] = "",
) -> Response:
    """Accounts in order of first appearance, or the one that `q` names."""
    asked = q.strip()
    if asked and context.engine.account(asked) is not None:
        return RedirectResponse(request.url_for("account", group=asked).path, 303)
    limit = context.settings.page_rows
    found = [] if asked else context.engine.accounts(after, limit + 1)
    rows = [(one, [f"{name}: {opened(context, known.value)[0]}" for name, known in _first(one)]) for one in found]
    values = {"rows": rows[:limit], "next": found[limit - 1].id if len(found) > limit else None, "asked": asked}
    return page_response(request, "accounts.html", values)


@router.get("/accounts/{group:path}")
def account(request: Request, context: Context, group: Group) -> Response:
    """One account: traits with their history, figures, members."""
    found = account_facts(context, group)
    declared = context.project.profile.accounts
    titles = {name: one.title for name, one in context.project.attributes.items()}
    named = {name: one.named(titles) for name, one in declared.rollup.items()}
    joined = {each.person: each for each in found.members}
    shown = person_rows(context, [each.person for each in found.members[:_SHOWN_MEMBERS]])
    values = {
        "account": found,
        "traits": trait_rows(context, found.traits, found.history, declared.traits),
        "figures": [(name, named.get(name, name), value_text(value)) for name, value in found.figures.items()],
        "members": [(row, joined[row.person]) for row in shown],
    }
    return page_response(request, "account.html", values)


def account_facts(context: WebContext, group: str) -> AccountFacts:
    """One account.

    Raises:
        NotFound: ``account.unknown``.
    """
    found = context.engine.account(group)
    if found is None:
        raise NotFound("account.unknown", f"there is no account {group[:100]!r}", "accounts come with group calls")
    return found


def _first(one: AccountFacts) -> list[tuple[str, Known]]:
    return list(one.traits.items())[:_SHOWN_TRAITS]
