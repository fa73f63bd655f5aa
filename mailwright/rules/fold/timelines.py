"""Readers of ordered leaves, person by person."""

from __future__ import annotations

from bisect import bisect_right
from datetime import tzinfo

import numpy as np

from mailwright.core.instants import Instant
from mailwright.rules import syntax as s
from mailwright.rules.fold.cells import FOREVER, Cells, Loose, Truth, forever
from mailwright.rules.fold.frame import Frame, Reader
from mailwright.rules.fold.leaves import period_end
from mailwright.rules.fold.ordered import Kept
from mailwright.rules.windows import bounds


def told(store: Kept) -> Reader:
    """A value that only events change."""

    def read(frame: Frame) -> Cells:
        return Loose([store.value(person) for person in frame.persons.tolist()], forever(len(frame)))

    return read


def sequence(node: s.Sequence, store: Kept) -> Reader:
    """Whether a sequence was completed inside its window; a deadline may complete it later."""

    def read(frame: Frame) -> Cells:
        answers = [
            _completed(node, store.value(person), frame.t, zone)
            for person, zone in zip(frame.persons.tolist(), frame.zone_each(), strict=True)
        ]
        mask = np.array([true for true, _ in answers], dtype=bool)
        return Truth(mask, np.array([until for _, until in answers], dtype=np.int64))

    return read


def _completed(node: s.Sequence, completions: list[Instant], t: Instant, zone: tzinfo) -> tuple[bool, int]:
    """Whether a completion lies in the window, and until when that surely stays so."""
    after, upto = bounds(node.window, t, zone)
    first, past = bisect_right(completions, after), bisect_right(completions, upto)
    if first < past:
        return True, _leaves_at(node.window, completions[past - 1], t, zone)
    ahead = bisect_right(completions, t)
    return False, completions[ahead] if ahead < len(completions) else FOREVER


def _leaves_at(window: s.Window | None, latest: Instant, t: Instant, zone: tzinfo) -> int:
    match window:
        case s.Within(micros=micros):
            return latest + micros
        case s.Calendar(unit=unit):
            return period_end(unit, t, zone)
        case _:
            return FOREVER
