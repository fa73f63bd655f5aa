"""Preference tags: one list of each person's, to which answers of the same moment all add.

An answer changes the list that the engine knows, or the one that an answer wrote which the engine does not know yet.
Records says which, one answer after another, and stamps each list later than the one before it: so the newest list has
every answer, in whatever order they reach the log.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mailwright.core.events import Identifier
from mailwright.core.facts import Known, PersonFacts
from mailwright.core.instants import Instant
from mailwright.ingest.forms.definitions import TAGS
from mailwright.ingest.forms.submission import tags_of
from mailwright.web.context import WebContext
from mailwright.web.forms.visit import Reader


def readers_tags(
    context: WebContext, reader: Reader, added: Collection[str], removed: Collection[str]
) -> tuple[list[str], Instant]:
    """(the list of a mail's reader after an answer, its stamp).

    Raises:
        Transient: If the engine cannot say now what the list is.
    """
    person = reader.message.person
    return _changed(context, reader.identifier, context.engine.facts([person]).get(person), added, removed)


def visitors_tags(
    context: WebContext, identifier: Identifier, added: Collection[str], removed: Collection[str], *, is_new: bool
) -> tuple[list[str], Instant]:
    """(the list of whoever has an identifier after an answer, its stamp).

    An identifier that `is_new` was made for this very answer: nobody is known by it, and the engine is not asked.

    Raises:
        Transient: If the engine cannot say now what the list is.
    """
    return _changed(context, identifier, None if is_new else _facts(context, identifier), added, removed)


def tags_joined(context: WebContext, one: Identifier, other: Identifier) -> tuple[dict[str, Any], Instant]:
    """(the trait of somebody who becomes one with somebody else, its stamp): both lists, else the newer would be all.

    No trait if one of them has none, or they are one already.

    Raises:
        Transient: If the engine cannot say now what the lists are, and some form gives tags.
    """
    now = context.clock.now()
    if not any(form.tags() for form in context.project.forms.values()):
        return {}, now
    mine, theirs = _facts(context, one), _facts(context, other)
    if mine is None or theirs is None or mine.person == theirs.person:
        return {}, now
    if TAGS not in mine.traits or TAGS not in theirs.traits:
        return {}, now
    more = theirs.traits[TAGS]
    tags, at = _changed(context, one, mine, tags_of(more.value), (), Instant(max(now, _at(more) + 1)))
    return {TAGS: tags}, at


def _changed(
    context: WebContext,
    owner: Identifier,
    facts: PersonFacts | None,
    added: Collection[str],
    removed: Collection[str],
    now: Instant | None = None,
) -> tuple[list[str], Instant]:
    known = facts.traits.get(TAGS) if facts else None
    return context.records.tags.change(
        context.sealer.hash("form_tags", f"{owner.kind}:{owner.value}"),
        context.clock.now() if now is None else now,
        known=tags_of(known.value) if known else [],
        known_at=_at(known) if known else Instant(0),
        added=added,
        removed=removed,
    )


def _at(known: Known) -> Instant:
    return known.at if known.at is not None else Instant(0)


def _facts(context: WebContext, identifier: Identifier) -> PersonFacts | None:
    person = context.engine.find(identifier.kind, identifier.value)
    return None if person is None else context.engine.facts([person]).get(person)
