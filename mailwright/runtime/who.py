"""Who is meant: the one look-up of people for commands, pages and the API."""

from __future__ import annotations

from mailwright.core.errors import NotFound
from mailwright.core.events import Person
from mailwright.core.ports import EngineReads
from mailwright.ingest.identifiers import Seal, identifier_of
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.load import Project, load_project

SEARCHED_KINDS = ("user_id", "email", "phone", "anonymous_id")
_NUMBER_DIGITS = 9  # more is no number of a person, but may be a user id


def seal_of(there: Installation) -> Seal:
    """What hashes identifiers as the door does: by the forms that the project in force declares."""
    current = there.records.definitions.current()
    project = load_project(current.files) if current else Project()
    return project.ingest_rules(there.sealer).seal


def in_path(who: str) -> str | int:
    """What a path or a body names: bare digits are a person's number there."""
    return int(who) if who.isascii() and who.isdigit() and len(who) <= _NUMBER_DIGITS else who


def person_of(engine: EngineReads, seal: Seal, asked: str | int) -> Person:
    """The living person that a number, ``#12``, ``kind:value``, an e-mail, phone, user id or anonymous id names.

    Args:
        engine: Knows them.
        seal: Hashes as the door does, see `seal_of`: then ``0171 1234567`` finds ``+491711234567``.
        asked: As somebody writes it.

    Raises:
        NotFound: ``person.unknown``.
    """
    text = f"#{asked}" if isinstance(asked, int) else asked.strip()
    if text.startswith("#") and text[1:].isascii() and text[1:].isdecimal():
        found = engine.facts([Person(int(text[1:]))]) if len(text) <= 1 + _NUMBER_DIGITS else {}
        if found:
            return next(iter(found.values())).person
    else:
        kind, _, value = text.partition(":")
        tries = [(kind, value)] if value else []
        for each, told in [*tries, *((kind, text) for kind in SEARCHED_KINDS)]:
            one = identifier_of(seal, each, told)
            person = engine.find(one.kind, one.value)
            if person is None and told == value:
                person = engine.find(each, told)  # a keyed hash, as graphs show it
            if person is not None:
                return person
    hint = "name an e-mail, phone, user id, #12 or user_id:42"
    raise NotFound("person.unknown", f"nobody is known as {text[:100]!r}", hint)
