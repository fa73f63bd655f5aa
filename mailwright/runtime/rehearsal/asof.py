"""Who was in a segment at an instant of the past, or who a rule would have held for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import numpy as np

from mailwright.core.errors import NotFound, nearest
from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant, format_iso
from mailwright.rules import syntax as s
from mailwright.rules.fold.rows import Ints
from mailwright.rules.show import show
from mailwright.runtime.past import Past, PastTick
from mailwright.runtime.project.load import Project, load_project
from mailwright.runtime.rehearsal.replay import InForce, Replay
from mailwright.runtime.rehearsal.scope import ASKED, NO_RULES, asks_since, rules_in_turn, rules_of, rules_with
from mailwright.runtime.rehearsal.story import Told, untold

With = Literal["in-force", "current"]
"""Which definition answers: the one in force then, or today's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """An instant of the past and what stands for it.

    Attributes:
        asked_at: The instant asked for.
        tick: The last tick at or before it; before the first, the instant itself at offset 0.
        imported: End of the import of history that reaches back to it, though it ran later; 0 if none does.
    """

    asked_at: Instant
    tick: PastTick
    imported: Offset

    @property
    def reconstructed(self) -> bool:
        """Whether the answer holds what nobody could have known then."""
        return bool(self.imported)


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Who was in a segment, or who a rule held for.

    Attributes:
        name: The segment; empty for a rule that is none.
        rule: The definition that was evaluated.
        version: Of the definitions it was taken from.
        members: Their numbers as known then, ascending.
        n_persons: People known then, those in the segment among them.
        since: Since when the live engine had recorded them in, for those of `members` of whom it had.
    """

    moment: Moment
    name: str
    rule: str
    version: int
    members: Ints
    n_persons: int
    since: dict[Person, Instant]

    @property
    def size(self) -> int:
        """How many."""
        return len(self.members)


def moment_at(past: Past, at: Instant) -> Moment:
    """What stands for an instant."""
    offset = past.offset_at(at)
    tick = PastTick(Offset(0), at)
    if offset:
        tick = past.ticks(Offset(offset - 1), offset)[0]
    return Moment(asked_at=at, tick=tick, imported=past.imported_behind(offset, tick.at))


def segment_as_of(past: Past, name: str, at: Instant, *, asked: With = "in-force", told: Told = untold) -> Membership:
    """Who was in a segment at an instant, as known then.

    Raises:
        NotFound: If no definition of it was in force then, or today.
    """
    moment = moment_at(past, at)
    versions = in_force_at(past, name, moment, asked)
    replayed = replayed_to(past, versions, moment, told)
    since = recorded_since(past, name, moment.tick.offset) if asked == "in-force" and not moment.imported else {}
    return _membership(moment, replayed, name, name, since)


def in_force_at(past: Past, name: str, moment: Moment, asked: With) -> list[InForce]:
    """The definitions of a segment up to a moment; the last one is in force there.

    Raises:
        NotFound: If none was in force then, or there is none today.
    """
    versions = versions_of(past, name, moment.tick.offset, asked, moment.imported)
    if name not in versions[-1].rules.segments:
        when = "today" if asked == "current" else f"at {format_iso(moment.asked_at)}"
        hint = "" if asked == "current" else "`--with current` asks what today's definition would have said"
        raise NotFound("segment.not_then", f"segment {name!r} was not defined {when}", hint)
    return versions


def rule_as_of(past: Past, project: Project, node: s.Expression, at: Instant, *, told: Told = untold) -> Membership:
    """Who a condition in the words of `project` held for at an instant, as known then."""
    moment = moment_at(past, at)
    versions = [InForce(offset=Offset(0), version=0, rules=rules_with(project.rules, node))]
    return _membership(moment, replayed_to(past, versions, moment, told), ASKED, "", {})


def _membership(moment: Moment, replayed: Replay, key: str, name: str, since: dict[Person, Instant]) -> Membership:
    members = replayed.members(key)
    return Membership(
        moment=moment,
        name=name,
        rule=show(replayed.in_force.rules.segments[key]),
        version=replayed.in_force.version,
        members=members,
        n_persons=len(replayed.living()),
        since={person: at for person, at in since.items() if _holds(members, person)},
    )


def _holds(members: Ints, person: Person) -> bool:
    place = int(np.searchsorted(members, person))
    return place < len(members) and bool(members[place] == person)


def replayed_to(past: Past, versions: Sequence[InForce], moment: Moment, told: Told = untold) -> Replay:
    """The rules at a moment: only its own tick is evaluated, unless an answer depends on ticks before."""
    ordered = any(asks_since(version.rules) for version in versions)
    chosen = versions if ordered else versions[-1:]
    replay = Replay(past, chosen, moment.tick.offset, imported=moment.imported, told=told)
    for tick in ticks_to(past, moment) if ordered else [moment.tick]:
        replay.evaluate(tick)
    return replay


def ticks_to(past: Past, moment: Moment) -> Iterator[PastTick]:
    """Every tick up to a moment's own."""
    yield from past.ticks(Offset(0), Offset(moment.tick.offset - 1))
    yield moment.tick


def versions_of(past: Past, name: str, upto: Offset, asked: With, imported: Offset) -> list[InForce]:
    """The definitions of a segment up to an offset, beginning at offset 0, those that mean the same joined.

    Before the first version there are no rules; only where an import of history reaches back does it stand for what was
    before it.

    Raises:
        NotFound: If nothing was ever in force, or the segment never was.
    """
    definitions = past.definitions
    if not definitions:
        raise NotFound("definition.not_applied", "nothing was in force yet", "run `mailwright apply`")
    projects = [load_project(each.files) for each in definitions]
    if not any(name in project.memberships for project in projects):
        known = sorted({each for project in projects for each in project.memberships})
        raise NotFound("segment.unknown", f"there is no segment {name!r}", nearest(name, known))
    if asked == "current":
        return [InForce(offset=Offset(0), version=definitions[-1].version, rules=rules_of(projects[-1].rules, name))]
    then = [each for each in definitions if each.offset <= upto] or ([definitions[0]] if imported else [])
    rules = rules_in_turn([project.rules for project in projects[: len(then)]], name)
    told = [
        InForce(offset=each.offset, version=each.version, rules=mine) for each, mine in zip(then, rules, strict=True)
    ]
    nothing = InForce(offset=Offset(0), version=0, rules=NO_RULES)
    began = replace(told[0], offset=Offset(0)) if imported else nothing
    return _joined([began, *(each for each in told if each.offset <= upto)])


def _joined(versions: Sequence[InForce]) -> list[InForce]:
    """Each meaning once, from its first offset, under its newest number."""
    groups = (list(group) for _, group in groupby(versions, key=lambda each: each.rules))
    return [replace(group[0], version=group[-1].version) for group in groups]


def recorded_since(past: Past, name: str, upto: Offset) -> dict[Person, Instant]:
    """Since when the live engine had recorded people in, at an offset."""
    inside: dict[Person, Instant] = {}
    for _, at, change in past.transitions(name, upto=upto):
        if change.entered:
            inside[change.person] = at
        else:
            inside.pop(change.person, None)
    return inside
