"""Merges and splits by hand: who is meant, whether it can be, and the record that says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from mailwright.core.errors import Conflict, InvalidInput, NotFound
from mailwright.core.events import PLACES, Events, PeopleKeptApart, PeopleMerged, Person, PersonSplit
from mailwright.core.person_graph import PersonGraph
from mailwright.core.ports import Clock, EngineReads, EventLog
from mailwright.ingest.identifiers import Seal, identifier_of
from mailwright.runtime.who import person_of

REASON_CHARS = 500
WAIT_S = 5.0
_POLL_S = 0.01


def merge_asked(
    engine: EngineReads, seal: Seal, one: str | int, other: str | int, *, reason: str, by: str
) -> PeopleMerged:
    """The record that makes two people one.

    Raises:
        NotFound: ``person.unknown``.
        InvalidInput: ``identity.reason``.
        Conflict: ``identity.same``, if they are one already.
    """
    first, second = person_of(engine, seal, one), person_of(engine, seal, other)
    if first == second:
        raise Conflict("identity.same", f"both are person #{first} already", "name another person")
    return PeopleMerged(one=first, other=second, reason=reason_checked(reason), by=by)


def apart_asked(
    engine: EngineReads, seal: Seal, one: str | int, other: str | int, *, reason: str, by: str
) -> PeopleKeptApart:
    """The record that says that two people are two; it raises as `merge_asked` does."""
    body = merge_asked(engine, seal, one, other, reason=reason, by=by)
    return PeopleKeptApart(one=body.one, other=body.other, reason=body.reason, by=body.by)


def split_asked(
    engine: EngineReads,
    seal: Seal,
    asked: str | int,
    *,
    merge: int | None,
    identifiers: Sequence[str],
    reason: str,
    by: str,
) -> PersonSplit:
    """The record that takes a merge back, or identifiers out of a person.

    Raises:
        NotFound: ``person.unknown``, ``identity.merge_unknown``, ``identity.not_theirs``.
        InvalidInput: ``identity.reason``, ``identity.split`` if it is not said what to part.
        Conflict: ``identity.undone``, ``identity.nothing_left``.
    """
    graph = engine.graph(person_of(engine, seal, asked))
    if (merge is None) == (not identifiers):
        raise InvalidInput.one(
            "identity.split", "a split takes one merge back, or takes identifiers out", hint="name one of the two"
        )
    if merge is not None:
        _check_merge(graph, merge)
    keys = [_theirs(graph, seal, each) for each in dict.fromkeys(identifiers)]
    if keys and len(set(keys)) == len(graph.identifiers):
        raise Conflict("identity.nothing_left", f"person #{graph.person} would have no identifier left", "leave one")
    return PersonSplit(person=graph.person, merge=merge, identifiers=keys, reason=reason_checked(reason), by=by)


def _check_merge(graph: PersonGraph, merge: int) -> None:
    found = [each for each in graph.merges if each.number == merge]
    if not found:
        known = ", ".join(str(each.number) for each in graph.merges if not each.undone) or "none"
        message = f"person #{graph.person} has no merge {merge}"
        raise NotFound("identity.merge_unknown", message, f"merges that can be taken back: {known}")
    if found[0].undone:
        raise Conflict("identity.undone", f"merge {merge} was taken back already", "nothing is to be done")


def _theirs(graph: PersonGraph, seal: Seal, asked: str) -> str:
    mine = {each.key for each in graph.identifiers}
    kind, _, value = asked.partition(":")
    sealed = identifier_of(seal, kind, value) if value else None
    for key in (asked, f"{sealed.kind}:{sealed.value}" if sealed else ""):
        if key in mine:
            return key
    message = f"{asked[:100]!r} is no identifier of person #{graph.person}"
    raise NotFound("identity.not_theirs", message, "write it as kind:value, as the graph shows it")


def reason_checked(text: str) -> str:
    """A reason on one line.

    Raises:
        InvalidInput: ``identity.reason``, if it is empty or too long.
    """
    reason = " ".join(text.split())
    if not 0 < len(reason) <= REASON_CHARS:
        raise InvalidInput.one(
            "identity.reason",
            f"a reason has 1 to {REASON_CHARS} characters",
            path="reason",
            hint="say why, for whoever looks at it later; it is kept as it is written",
        )
    return reason


def carry_out(
    log: EventLog,
    clock: Clock,
    engine: EngineReads,
    body: PeopleMerged | PeopleKeptApart | PersonSplit,
    *,
    wait_s: float = WAIT_S,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Append the record and wait until the engine has folded it; False if that takes longer than `wait_s`."""
    return carry_out_all(log, clock, engine, [body], wait_s=wait_s, sleep=sleep)


def carry_out_all(
    log: EventLog,
    clock: Clock,
    engine: EngineReads,
    bodies: Sequence[PeopleMerged | PeopleKeptApart | PersonSplit | Events],
    *,
    wait_s: float = WAIT_S,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """As `carry_out` for several records; of none, true."""
    number = max(log.append(list(bodies), clock.now()), default=0)
    for _ in range(max(1, round(wait_s / _POLL_S))):
        if engine.status().offset >= number * PLACES:
            return True
        sleep(_POLL_S)
    return False


def people_after(engine: EngineReads, body: PeopleMerged | PersonSplit, before: PersonGraph | None) -> list[Person]:
    """Who they are once it was folded: the one who stays first."""
    if isinstance(body, PeopleMerged):
        return [engine.graph(body.one).person]
    moved = list(body.identifiers)
    if before is not None and body.merge is not None:
        # The two names of a merge are each on a side of it.
        moved = next(([each.one, each.other] for each in before.merges if each.number == body.merge), [])
    stays = engine.graph(body.person).person
    found = dict.fromkeys(engine.find(*key.split(":", 1)) for key in moved[:2])
    return [stays, *(person for person in found if person is not None and person != stays)]
