"""A rule over a stretch of the past: how many it would have held for each day, who came and went, and for how long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal, NamedTuple

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Offset, Person
from mailwright.core.instants import Instant, format_iso
from mailwright.rules import syntax as s
from mailwright.rules.show import show
from mailwright.rules.values import local_date
from mailwright.runtime.past import Past, PastTick
from mailwright.runtime.project.load import Project
from mailwright.runtime.rehearsal.agreement import Agreement, Comparison
from mailwright.runtime.rehearsal.asof import Moment, With, moment_at, ticks_to, versions_of
from mailwright.runtime.rehearsal.growth import Day, Growth, Stay, Stays, day_end, days_between
from mailwright.runtime.rehearsal.replay import InForce, Replay
from mailwright.runtime.rehearsal.scope import ASKED, asks_since, rules_of, rules_with
from mailwright.runtime.rehearsal.story import Told, untold

Every = Literal["tick", "day"]


class Stretch(NamedTuple):
    """Instants from `first` to `last`, both included."""

    first: Instant
    last: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What a definition did, or would have done.

    Attributes:
        name: The segment; empty for a rule that is none.
        rule: The definition at the end of the stretch.
        every: ``tick``: all that happened; ``day``: only how each day ended, so entered and left are net.
        n_ticks: Evaluations looked at.
        reconstructed_upto: Moments up to this one hold what was imported later; None: none does.
        size_before: Members at the beginning.
        days: Every day of the stretch.
        stays: How long each person was in who ever was, up to the last evaluation.
        agreement: Beside what the live engine recorded.
    """

    name: str
    rule: str
    stretch: Stretch
    every: Every
    n_ticks: int
    reconstructed_upto: Instant | None
    size_before: int
    days: list[Day]
    stays: dict[Person, Stay]
    agreement: Agreement


def backtest_segment(
    past: Past,
    name: str,
    stretch: Stretch,
    *,
    asked: With = "in-force",
    every: Every = "tick",
    told: Told = untold,
) -> Backtest:
    """A segment over a stretch, by the definitions that were in force or by today's.

    Raises:
        NotFound: If there never was such a segment, or there is none today.
        InvalidInput: If the stretch ends before it begins, or nothing is known of it.
    """
    begin, end = _ends(past, stretch)
    versions = versions_of(past, name, end, asked, begin.imported)
    kept = versions_of(past, name, end, "in-force", begin.imported)
    comparison = None
    if every == "tick" and (after := _same_from(name, versions, kept, begin)) is not None:
        comparison = Comparison(past, name, after, end)
    return _Run(past, name, name, versions, begin, end, stretch, every, told).run(comparison)


def backtest_rule(
    past: Past, project: Project, node: s.Expression, stretch: Stretch, *, every: Every = "tick", told: Told = untold
) -> Backtest:
    """A condition in the words of `project` over a stretch.

    Raises:
        InvalidInput: If the stretch ends before it begins, or nothing is known of it.
    """
    begin, end = _ends(past, stretch)
    versions = [InForce(offset=Offset(0), version=0, rules=rules_with(project.rules, node))]
    return _Run(past, ASKED, "", versions, begin, end, stretch, every, told).run(None)


def _ends(past: Past, stretch: Stretch) -> tuple[Moment, Offset]:
    if stretch.last < stretch.first:
        raise InvalidInput.one(
            "backtest.stretch", f"{format_iso(stretch.last)} lies before {format_iso(stretch.first)}", hint="swap them"
        )
    begin = moment_at(past, stretch.first)
    end = past.offset_at(stretch.last)
    imported = past.imported_behind(begin.tick.offset, stretch.last)
    return Moment(asked_at=stretch.first, tick=begin.tick, imported=imported), end


def _same_from(name: str, versions: Sequence[InForce], kept: Sequence[InForce], begin: Moment) -> Offset | None:
    """Behind which offset the rules that are replayed are those that the engine kept; None: nowhere."""
    if begin.imported and any(asks_since(version.rules) for version in kept):
        return None  # how long somebody has been in is counted over moments that nobody had seen so
    if list(versions) == list(kept):
        return begin.imported
    newest, mine = rules_of(kept[-1].rules, name), rules_of(versions[-1].rules, name)
    if newest != mine or (asks_since(mine) and len(kept) > 1):
        return None
    return max(kept[-1].offset, begin.imported)


@dataclass
class _Run:
    past: Past
    key: str
    name: str
    versions: Sequence[InForce]
    begin: Moment
    end: Offset
    stretch: Stretch
    every: Every
    told: Told

    def run(self, comparison: Comparison | None) -> Backtest:
        replay = Replay(self.past, self.versions, self.end, imported=self.begin.imported, told=self.told)
        ordered = any(asks_since(version.rules) for version in self.versions)
        for tick in ticks_to(self.past, self.begin) if ordered else [self.begin.tick]:
            changes = replay.evaluate(tick)
        members = replay.members(self.key)
        if comparison is not None:
            comparison.take(self.begin.tick, changes, members)
        zone = self.versions[-1].rules.zone
        growth, stays = Growth(zone, len(members)), Stays(members, self.stretch.first)
        last, n_ticks = self.begin.tick, 0
        for tick in self._ticks(zone, "tick" if ordered else self.every):
            changes = [change for change in replay.evaluate(tick) if change.segment == self.key]
            growth.take(tick.at, changes)
            stays.take(tick.at, changes)
            if comparison is not None:
                comparison.take(tick, changes, replay.members(self.key) if comparison.begins else ())
            last, n_ticks = tick, n_ticks + 1
        first, final = (local_date(at, zone) for at in self.stretch)
        return Backtest(
            name=self.name,
            rule=_text(replay.in_force, self.key),
            stretch=self.stretch,
            every="tick" if ordered else self.every,
            n_ticks=n_ticks,
            reconstructed_upto=self._reconstructed_upto(),
            size_before=len(members),
            days=growth.days(first, final, len(members)),
            stays=stays.finish(max(last.at, self.stretch.first)),
            agreement=comparison.result() if comparison is not None else self._not_compared(),
        )

    def _ticks(self, zone: tzinfo, every: Every) -> Iterator[PastTick]:
        """What is evaluated after the beginning: ticks, and the ends of the days that lie before the first of them."""
        ticks = self.past.ticks(self.begin.tick.offset, self.end)
        first = ticks[0].at if ticks and not self.begin.tick.offset else None
        if not self.begin.tick.offset:
            upto = self.stretch.last if first is None else Instant(first - 1)
            yield from (PastTick(Offset(0), at) for at in _day_ends(Stretch(self.stretch.first, upto), zone))
        if every == "tick":
            yield from ticks
            return
        for tick, after in zip(ticks, [*ticks[1:], None], strict=True):
            if after is None or local_date(after.at, zone) != local_date(tick.at, zone):
                yield tick

    def _reconstructed_upto(self) -> Instant | None:
        if not self.begin.imported:
            return None
        behind = self.past.ticks(self.begin.imported)
        return Instant(min(self.stretch.last, behind[0].at - 1)) if behind else self.stretch.last

    def _not_compared(self) -> Agreement:
        if not self.name:
            return Agreement(note="a rule that is no segment is not recorded")
        if self.every == "day":
            return Agreement(note="the record is compared tick by tick: use --every tick")
        if self.begin.imported and any(asks_since(version.rules) for version in self.versions):
            return Agreement(note="how long somebody has been in a segment is counted over reconstructed moments")
        return Agreement(note="the live engine did not keep this definition in that time")


def _text(version: InForce, key: str) -> str:
    node = version.rules.segments.get(key)
    return "" if node is None else show(node)


def _day_ends(stretch: Stretch, zone: tzinfo) -> Iterator[Instant]:
    for day in days_between(local_date(stretch.first, zone), local_date(stretch.last, zone)):
        yield Instant(min(day_end(day, zone), stretch.last))
