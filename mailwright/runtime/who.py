"""Who is meant: the one look-up of people for commands, pages and the API."""

from __future__ import annotations

import re

from mailwright.core.errors import Conflict, NotFound
from mailwright.core.events import Person
from mailwright.core.ports import EngineReads
from mailwright.ingest.identifiers import Seal, identifier_of, is_address
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.load import Project, load_project

SEARCHED_KINDS = ("user_id", "email", "phone", "anonymous_id")
_NUMBER_DIGITS = 9  # more is no number of a person, but may be a user id
_NUMBER = re.compile(rf"(?:#|number:)([0-9]{{1,{_NUMBER_DIGITS}}})")


def seal_of(there: Installation) -> Seal:
    """What hashes identifiers as the door does: by the forms that the project in force declares."""
    current = there.records.definitions.current()
    project = load_project(current.files) if current else Project()
    return project.ingest_rules(there.sealer).seal


def person_of(engine: EngineReads, seal: Seal, asked: str | int) -> Person:
    """The living person that ``#12``, ``number:12``, ``kind:value``, an e-mail, phone, user id or anonymous id names.

    Args:
        engine: Knows them.
        seal: Hashes as the door does, see `seal_of`: then ``0171 1234567`` finds ``+491711234567``.
        asked: As somebody writes it. An integer is a person's number; bare digits as text never are, for a shop that
            counts its customers would hit strangers by them.

    Raises:
        NotFound: ``person.unknown``.
        Conflict: ``person.ambiguous``, if it is one person's identifier of one kind and somebody else's of another.
    """
    text = f"#{asked}" if isinstance(asked, int) else asked.strip()
    named = named_by(engine, seal, text)
    if not named:
        hint = "name an e-mail, phone, user id, #12, number:12 or user_id:42"
        raise NotFound("person.unknown", f"nobody is known as {text[:100]!r}", hint)
    first, *others = dict.fromkeys(named.values())
    if others:
        whose = ", ".join(f"{kind} of #{person}" for kind, person in named.items())
        hint = f"write which is meant, such as {next(iter(named))}:{text[:100]}"
        raise Conflict("person.ambiguous", f"{text[:100]!r} names {1 + len(others)} people: {whose}", hint)
    return first


def named_by(engine: EngineReads, seal: Seal, text: str) -> dict[str, Person]:
    """The living people whom a text names, by the kind of identifier that it is for them; empty: nobody.

    An address is looked for as an e-mail first, and then as nothing else: any browser can call itself by somebody's
    address as its user id, but none can set an e-mail. The same holds for ``#12``, ``number:12`` and for a kind
    written before.
    """
    if number := _NUMBER.fullmatch(text):
        found = engine.facts([Person(int(number[1]))])
        return {"number": next(iter(found.values())).person} if found else {}
    kind, _, value = text.partition(":")
    if value:
        person = _find(engine, seal, kind, value)
        if person is None:
            person = engine.find(kind, value)  # a keyed hash, as graphs show it
        if person is not None:
            return {kind: person}
    if is_address(text):
        person = _find(engine, seal, "email", text)
        if person is not None:
            return {"email": person}
    found_by = {kind: _find(engine, seal, kind, text) for kind in SEARCHED_KINDS}
    return {kind: person for kind, person in found_by.items() if person is not None}


def _find(engine: EngineReads, seal: Seal, kind: str, value: str) -> Person | None:
    one = identifier_of(seal, kind, value)
    return engine.find(one.kind, one.value)
