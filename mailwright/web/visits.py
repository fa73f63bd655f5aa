"""A click in our mail joins the visit that follows to the person who got the mail.

The redirect adds a token to the address of the shop's own page; the snippet sends it with the first event of the visit
and takes it out of the address. Here the token becomes one event that names the mail's person and the browser's
anonymous id; its message id is the token's own, so the engine counts it once, whoever sends it again. See
docs/decisions/0024-a-click-joins-the-visit.md.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from mailwright.core.errors import InvalidInput, MailwrightError
from mailwright.core.events import NOBODY, Event, Identifier
from mailwright.delivery.links import MailLinks, Visiting
from mailwright.web.context import WebContext
from mailwright.web.tracking import PARAMETER, mail_event

IN_BODY = f'"{PARAMETER}"'.encode()
"""What a request's body has in it if one of its events may bring a token."""

VISIT = "Email Visit Started"
"""Our event that names both the mail's person and the browser's anonymous id."""

_ANONYMOUS = "anonymous_id"
_log = logging.getLogger(__name__)


def with_joins(context: WebContext, events: Sequence[Event]) -> list[Event]:
    """`events` without their tokens, before the first that brought a good one the event that joins its visit."""
    out: list[Event] = []
    joining: Event | None = None
    for event in events:
        token = event.context.get(PARAMETER)
        if token is not None:
            event = msgspec.structs.replace(
                event, context={name: value for name, value in event.context.items() if name != PARAMETER}
            )
            if joining is None and (joining := _joining(context, event, token)):
                out.append(joining)
        out.append(event)
    return out


def _joining(context: WebContext, event: Event, token: Any) -> Event | None:
    """None for a token that is not ours or too old, for a browser that is known already, and when nobody can tell."""
    if [identifier.kind for identifier in event.identifiers] != [_ANONYMOUS]:
        return None
    (browser,) = event.identifiers
    try:
        links = MailLinks(context.tokens, context.settings.base_url)
        visit = links.read_visit(str(token), context.lease_clock.now())
        return None if _is_known(context, browser) else _event(context, visit, browser)
    except InvalidInput:
        return None
    except MailwrightError as error:
        _log.warning("a visit was not joined to its mail: %s", error.message)
        return None


def _is_known(context: WebContext, browser: Identifier) -> bool:
    """Whether the browser's id belongs to somebody who has told more than that: two known people are never merged."""
    person = context.engine.find(browser.kind, browser.value)
    if person is None:
        return False
    facts = context.engine.facts([person]).get(person)
    return facts is None or any(identifier.kind != _ANONYMOUS for identifier in facts.identifiers)


def _event(context: WebContext, visit: Visiting, browser: Identifier) -> Event | None:
    message = context.records.messages.by_id(visit.message_id)
    if message is None or message.person == NOBODY:  # a confirmation mail: who asked for it need not be its reader
        return None
    now = context.clock.now()
    event = mail_event(message, VISIT, f"visit:{visit.nonce}", now, {})
    return event and msgspec.structs.replace(event, identifiers=[*event.identifiers, browser])
