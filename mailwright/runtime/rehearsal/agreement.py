"""What a replay says beside what the live engine recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant
from mailwright.rules.fold import Change
from mailwright.runtime.past import Past, PastChange, PastTick

NOTHING = "no change"
INSIDE, OUTSIDE = "in", "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first thing that is not the same: of whom, at which tick, and both answers in words."""

    tick: PastTick
    person: Person
    replayed: str
    recorded: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far a replay equals the record.

    Attributes:
        compared_from: The first evaluation that was compared; None if nothing could be, then `note` says why.
        n_members: Members at that evaluation, the same in both.
        n_transitions: Changes after it that are the same in both.
        difference: The first difference; what follows it was not compared.
    """

    compared_from: Instant | None = None
    n_members: int = 0
    n_transitions: int = 0
    difference: Difference | None = None
    note: str = ""

    @property
    def equal(self) -> bool:
        """Whether something was compared and all of it was the same."""
        return self.compared_from is not None and self.difference is None


class Comparison:
    """Holds each evaluation of one segment against the record, from the first tick behind `after` on."""

    def __init__(self, past: Past, segment: str, after: Offset, upto: Offset) -> None:
        self._after = after
        self._recorded = past.changes(segment, upto=upto)
        self._waiting = next(self._recorded, None)
        self._inside: set[Person] | None = set()
        self._from: Instant | None = None
        self._n_members = self._n_transitions = 0
        self._difference: Difference | None = None

    @property
    def begins(self) -> bool:
        """Whether the next evaluation may be the first one compared: its members are needed then."""
        return self._inside is not None

    def take(self, tick: PastTick, changes: Sequence[Change], members: Iterable[int]) -> None:
        """The changes of one evaluated tick, and the members after it; ticks come in order, none left out."""
        if tick.offset <= self._after or not tick.offset or self._difference is not None:
            return
        if self._inside is not None:
            self._begin(tick, {Person(int(person)) for person in members}, self._inside)
            self._inside = None
        else:
            self._changes(tick, list(changes))

    def _begin(self, tick: PastTick, mine: set[Person], recorded: set[Person]) -> None:
        self._from = tick.at
        for change in self._upto(tick.offset):
            (recorded.add if change.change.entered else recorded.discard)(change.change.person)
        self._n_members = len(mine & recorded)
        for person in sorted(mine ^ recorded)[:1]:
            answers = (INSIDE, OUTSIDE) if person in mine else (OUTSIDE, INSIDE)
            self._differ(tick, person, *answers)

    def _changes(self, tick: PastTick, mine: list[Change]) -> None:
        recorded = [each.change for each in self._upto(tick.offset)]
        if mine == recorded:
            self._n_transitions += len(mine)
            return
        replayed, told = ({change.person: change for change in each} for each in (mine, recorded))
        person = min(one for one in replayed.keys() | told.keys() if replayed.get(one) != told.get(one))
        self._differ(tick, person, _words(replayed.get(person)), _words(told.get(person)))

    def _differ(self, tick: PastTick, person: Person, replayed: str, recorded: str) -> None:
        self._difference = Difference(tick=tick, person=person, replayed=replayed, recorded=recorded)

    def _upto(self, offset: Offset) -> Iterator[PastChange]:
        while self._waiting is not None and self._waiting.offset <= offset:
            yield self._waiting
            self._waiting = next(self._recorded, None)

    def result(self) -> Agreement:
        """What came of it."""
        return Agreement(
            compared_from=self._from,
            n_members=self._n_members,
            n_transitions=self._n_transitions,
            difference=self._difference,
            note="" if self._from is not None else "the live engine did not keep this definition in that time",
        )


def _words(change: Change | None) -> str:
    return NOTHING if change is None else f"{'entered' if change.entered else 'left'} ({change.cause})"
