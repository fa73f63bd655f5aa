"""States that can split people: their past is read from what was folded, as History would give it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from engine_world import BLOBS

from mailwright.core.events import LogRecord, Offset
from mailwright.core.instants import Instant
from mailwright.runtime.engine.past_ticks import PastTicks, Stretch, TickThen
from mailwright.runtime.engine.rerun import TheirPast
from mailwright.runtime.engine.state import EngineState, Folded


def stretches(ticks: Sequence[tuple[Offset, Instant]], before: Offset, size: int = 3) -> PastTicks:
    """A few ticks to a stretch, as far more would lie in History."""

    def stretch(some: Sequence[tuple[Offset, Instant]]) -> Stretch:
        columns = tuple(np.array(column, dtype=np.int64) for column in zip(*some, strict=True))
        return Stretch(TickThen(*some[-1]), lambda: columns)

    return PastTicks([stretch(ticks[first : first + size]) for first in range(0, len(ticks), size)], before)


class Told:
    """Everything that was folded so far; stands for History, with whatever came later in it too."""

    def __init__(self) -> None:
        self.folded = Folded()

    def past(self, identifiers: Sequence[str], before: Offset) -> TheirPast:
        """See `PastOf`."""
        rows, files = self.folded, {}
        definitions = []
        for offset, _, version, text, in_force in rows.definitions:
            files[version] = text or files.get(version, {})
            if in_force and offset < before:
                definitions.append((offset, files[version]))
        events = [
            (offset, msgspec.structs.replace(event, identifiers=event.identifiers[:1]))
            for offset, _, _, event in rows.events
            if offset < before and f"{event.identifiers[0].kind}:{event.identifiers[0].value}" in identifiers
        ]
        ticks = list(rows.ticks)  # whatever is too late for `before` is left out by who reads them
        return TheirPast(
            events=events,
            ticks=stretches(ticks, before),
            definitions=definitions,
            lists=[(o, name, who, added) for o, _, name, who, added in rows.lists if o < before and who in identifiers],
        )


def told(log: Sequence[LogRecord], state: EngineState | None = None, *, history: Told | None = None) -> EngineState:
    """Fold records into a state that can split."""
    history = history or Told()
    state = state or EngineState(BLOBS.get, history.past)
    for record in log:
        if record.number > state.number:
            state.apply(record, history.folded)
    return state


def gone_back(state: EngineState, history: Told) -> EngineState:
    """The state out of its own checkpoint."""
    again = EngineState(BLOBS.get, history.past)
    again.restore(dict(state.freeze().parts()))
    return again


def hashes(state: EngineState) -> dict[str, Any]:
    """The digests apart, for a failure that says where."""
    return {"fold": state.fold.state_hash(), "identity": state.identity.digest()}
