"""A story evaluated tick by tick, with the definitions that were in force or with one throughout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant
from mailwright.rules.fold import Change, Fold, Rules
from mailwright.rules.fold.rows import Ints
from mailwright.runtime.past import Past, PastTick
from mailwright.runtime.rehearsal.listed import PastLists
from mailwright.runtime.rehearsal.story import Story, Told, untold


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """Rules from an offset on, until the next ones."""

    offset: Offset
    version: int
    rules: Rules


class Replay:
    """Rules over a story from its start.

    Between two evaluations nothing counts, so a tick at which nothing new and nothing due is need not be evaluated.
    """

    def __init__(
        self,
        past: Past,
        versions: Sequence[InForce],
        end: Offset,
        *,
        imported: Offset = Offset(0),
        told: Told = untold,
    ) -> None:
        """Begin before everything.

        Args:
            past: What happened.
            versions: In order of offset; before the first there are no rules, unless `imported` reaches back.
            end: Nothing above it is asked for.
            imported: See `Story`.
            told: See `Story`.
        """
        self._past = past
        self._versions = list(versions)
        self._end = end
        self._imported = imported
        self._story = Story(past, end, imported=imported, told=told)
        self._lists = PastLists(past, end, imported, self._story.people.number)
        self.in_force = self._versions.pop(0)
        self.fold = Fold(self.in_force.rules, self._story.catalog)
        self._there: list[str] = []
        self._n_events = 0
        self._due: Instant | None = Instant(-(2**62))
        self._due_known = True

    def evaluate(self, tick: PastTick) -> list[Change]:
        """Come to a tick, not before the last one; who changed, by the log's numbers, in order of person."""
        n = self._come_to(tick.offset)
        names = self._there = self._story.people.there(tick)
        listed = self._lists.come_to(self.fold, tick.offset)
        if not n and not listed and not self._is_due(tick.at):
            return []
        changes = self.fold.tick(tick.at, names)
        self._due_known = False
        person = self._story.people.person
        return sorted(change._replace(person=person(change.person)) for change in changes)

    def _come_to(self, offset: Offset) -> int:
        n = 0
        while self._versions and self._versions[0].offset <= offset:
            version = self._versions.pop(0)
            n += self._play(version.offset) + 1
            self._define(version)
        return n + self._play(offset)

    def _play(self, upto: Offset) -> int:
        n = self._story.play(self.fold, upto)
        self._n_events += n
        return n

    def _define(self, version: InForce) -> None:
        self.in_force = version
        # Before the first event no leaf lacks a past.
        replaced = self.fold if self._n_events else None
        self.fold = Fold(version.rules, self._story.catalog, replacing=replaced)
        if replaced is None:
            self._lists.begin()
        if self.fold.missing_leaves():
            before = Story(self._past, version.offset, imported=self._imported)
            shadow = Fold(version.rules, before.catalog)
            before.play(shadow, version.offset)
            self.fold.combine(shadow)

    def _is_due(self, at: Instant) -> bool:
        if not self._due_known:
            self._due, self._due_known = self.fold.next_due(), True
        return self._due is not None and self._due <= at

    def members(self, segment: str) -> Ints:
        """Who is in the segment at the last evaluation, by the log's numbers, ascending; nobody if there is none."""
        if segment not in self.in_force.rules.segments:
            return np.zeros(0, dtype=np.int64)
        inside = self.fold.members(segment).nonzero()[0]
        return np.sort(np.array([self._story.people.person(number) for number in inside.tolist()], dtype=np.int64))

    def living(self) -> list[Person]:
        """The fold's numbers of all people at the last evaluation, merged ones left out."""
        return [Person(number) for number in range(len(self._there)) if number not in self._story.gone]

    def person(self, number: int) -> Person:
        """The log's number of a person of the fold."""
        return self._story.people.person(number)
