"""What the engine answers about who is who."""

from __future__ import annotations

from mailwright.core.errors import NotFound
from mailwright.core.events import Person
from mailwright.core.person_graph import GraphIdentifier, GraphMerge, GraphRefusal, PersonGraph
from mailwright.profiles.identity import IdentityGraph
from mailwright.profiles.merge_book import NOT_UNDONE, Merged
from mailwright.profiles.parting import Tree
from mailwright.runtime.engine.state import EngineState

MOVES_TOLD = 50
"""Of so many of a person's merges, the newest, it is said what taking them back would move: the engine stands still."""


def graph(state: EngineState, person: int) -> PersonGraph:
    """The identifiers and merges of the living person behind a number.

    Raises:
        NotFound: ``person.unknown``.
    """
    known = state.identity
    if not 0 <= person < known.n_persons:
        raise NotFound("person.unknown", f"there is no person {person}", "search by e-mail or user id")
    now = known.current(Person(person))
    rows = known.rows_of(now)
    merges = known.book.within(set(rows))
    moves = _moves(known, now)
    return PersonGraph(
        person=now,
        numbers=known.numbers(now),
        identifiers=[_identifier(known, row) for row in rows],
        merges=[_merge(known, merge, moves.get(merge.number)) for merge in merges],
        refused=[
            GraphRefusal(one=each.one, other=each.other, reason=each.reason, at=each.at, times=each.times)
            for each in known.book.refused(now)
        ],
        apart=_apart(known, now),
    )


def _identifier(known: IdentityGraph, row: int) -> GraphIdentifier:
    offset, at = known.born(row)
    via = known.via(row)
    return GraphIdentifier(
        key=known.key(row),
        since_at=at,
        offset=offset,
        via="" if via is None else known.key(via),
        joins=not known.is_retired(row),
    )


def _moves(known: IdentityGraph, person: Person) -> dict[int, list[str]]:
    """By number of a merge, the identifiers that taking it back moves; of the newest only."""
    tree = Tree(known, person)
    return {merge.number: [known.key(row) for row in tree.moved(merge)] for merge in tree.merges[-MOVES_TOLD:]}


def _merge(known: IdentityGraph, merge: Merged, moves: list[str] | None) -> GraphMerge:
    said, undone = known.book.said(merge), merge.undone != NOT_UNDONE
    return GraphMerge(
        number=merge.number,
        at=merge.at,
        offset=merge.offset,
        into=merge.into,
        gone=merge.gone,
        one=known.key(merge.one),
        other=known.key(merge.other),
        reason=known.reason(merge),
        source=said.source,
        message_id=said.message_id,
        by=said.by,
        moves=[] if undone else moves,
        undone=undone,
    )


def _apart(known: IdentityGraph, person: Person) -> list[Person]:
    pairs = ((known.current(Person(one)), known.current(Person(other))) for one, other in known.book.apart)
    return sorted({other if one == person else one for one, other in pairs if person in (one, other)} - {person})
