"""Readers of ordered leaves: the interpreter's own functions over the events kept for them, person by person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import Any

import numpy as np

from mailwright.core.events import Person
from mailwright.core.instants import Instant
from mailwright.rules import ordered
from mailwright.rules import syntax as s
from mailwright.rules.fold.cells import FOREVER, Cells, Loose, Truth, forever
from mailwright.rules.fold.frame import Frame, Reader
from mailwright.rules.fold.leaves import period_end
from mailwright.rules.fold.ordered import Kept
from mailwright.rules.values import ItemLookup
from mailwright.rules.windows import bounds

Told = Callable[[ordered.Timeline, tzinfo], Any]


def told(node: s.ListOf | s.Rate | s.Session, store: Kept, items: ItemLookup) -> Reader:
    """A value that only events change."""

    def value(events: ordered.Timeline, zone: tzinfo) -> Any:
        match node:
            case s.ListOf():
                return ordered.list_of(node, events, items)
            case s.Rate():
                return ordered.rate(node, events, items, zone)
            case s.Session():
                return ordered.session(node, events, items)

    def read(frame: Frame) -> Cells:
        pairs = zip(frame.persons.tolist(), frame.zone_each(), strict=True)
        return Loose([value(store.of(Person(person)), zone) for person, zone in pairs], forever(len(frame)))

    return read


def sequence(node: s.Sequence, store: Kept, items: ItemLookup) -> Reader:
    """Whether a sequence was completed inside its window; a deadline may complete it later."""

    def read(frame: Frame) -> Cells:
        answers = [
            _completed(node, ordered.completions(node, store.of(Person(person)), items, zone), frame.t, zone)
            for person, zone in zip(frame.persons.tolist(), frame.zone_each(), strict=True)
        ]
        mask = np.array([true for true, _ in answers], dtype=bool)
        return Truth(mask, np.array([until for _, until in answers], dtype=np.int64))

    return read


def _completed(node: s.Sequence, completions: list[Instant], t: Instant, zone: tzinfo) -> tuple[bool, int]:
    """Whether a completion lies in the window, and until when that surely stays so."""
    after, upto = bounds(node.window, t, zone)
    inside = [at for at in completions if after < at <= upto]
    if inside:
        return True, _leaves_at(node.window, inside[-1], t, zone)
    return False, min((at for at in completions if at > t), default=FOREVER)


def _leaves_at(window: s.Window | None, latest: Instant, t: Instant, zone: tzinfo) -> int:
    match window:
        case s.Within(micros=micros):
            return latest + micros
        case s.Calendar(unit=unit):
            return period_end(unit, t, zone)
        case _:
            return FOREVER
