"""A segment from day to day: its size, who entered and left and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta, tzinfo

from mailwright.core.events import Person
from mailwright.core.instants import Instant
from mailwright.rules.fold import Change
from mailwright.rules.values import local_date
from mailwright.rules.windows import day_start


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One calendar day of a segment, in the shop's zone.

    Attributes:
        size: Members at the day's last evaluation.
        entered: By cause, how many times people entered.
        left: Likewise how many times they left.
    """

    day: date
    size: int
    entered: dict[str, int]
    left: dict[str, int]

    @property
    def n_entered(self) -> int:
        """Times people entered."""
        return sum(self.entered.values())

    @property
    def n_left(self) -> int:
        """Times people left."""
        return sum(self.left.values())


@dataclass
class Growth:
    """Collects changes into days; `size` is the present one."""

    zone: tzinfo
    size: int
    _days: dict[date, tuple[Counter[str], Counter[str]]] = field(default_factory=dict)
    _sizes: dict[date, int] = field(default_factory=dict)

    def take(self, at: Instant, changes: Iterable[Change]) -> None:
        """Changes of one evaluation; evaluations come in order."""
        day = local_date(at, self.zone)
        entered, left = self._days.setdefault(day, (Counter(), Counter()))
        for change in changes:
            (entered if change.entered else left)[change.cause] += 1
            self.size += 1 if change.entered else -1
        self._sizes[day] = self.size

    def days(self, first: date, last: date, before: int) -> list[Day]:
        """Every day from `first` to `last`; on one without evaluation the size is that of the day before."""
        found, size = [], before
        for day in days_between(first, last):
            entered, left = self._days.get(day, (Counter(), Counter()))
            size = self._sizes.get(day, size)
            found.append(Day(day=day, size=size, entered=dict(entered), left=dict(left)))
        return found


def days_between(first: date, last: date) -> Iterator[date]:
    """Days from `first` to `last`, both included."""
    for n in range((last - first).days + 1):
        yield first + timedelta(days=n)


def day_end(day: date, zone: tzinfo) -> Instant:
    """The last instant of a day."""
    return Instant(day_start(day + timedelta(days=1), zone) - 1)


@dataclass
class Stay:
    """How long somebody was in, within what was looked at.

    Attributes:
        micros: Inside in all, up to the last evaluation, in microseconds.
        since: From when on (at the earliest the beginning of what was looked at); None: is out at its end.
        entered: How many times.
    """

    micros: int = 0
    since: Instant | None = None
    entered: int = 0


class Stays:
    """How long everybody was in who ever was."""

    def __init__(self, members: Iterable[int], at: Instant) -> None:
        self.by_person: dict[Person, Stay] = {Person(int(person)): Stay(since=at) for person in members}

    def take(self, at: Instant, changes: Iterable[Change]) -> None:
        """Changes of one evaluation; evaluations come in order."""
        for change in changes:
            stay = self.by_person.setdefault(change.person, Stay())
            if change.entered:
                stay.since = at
                stay.entered += 1
            elif stay.since is not None:
                stay.micros += at - stay.since
                stay.since = None

    def finish(self, at: Instant) -> dict[Person, Stay]:
        """All of it, those still in counted up to `at`."""
        for stay in self.by_person.values():
            if stay.since is not None:
                stay.micros += at - stay.since
        return self.by_person
