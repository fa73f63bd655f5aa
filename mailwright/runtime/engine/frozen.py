"""The engine's state at rest: copied at a tick, turned into bytes part by part while the engine goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from mailwright.core.events import Offset
from mailwright.rules.fold import Frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenState:
    """State as of a tick that shares nothing that still changes.

    Attributes:
        number: The record it stands at; `upto` its last offset.
        plain: By name of the part, what encodes it. Slow; may run in any thread, once.
        folds: By prefix, frozen folds, each of many parts.
    """

    number: int
    upto: Offset
    plain: Mapping[str, Callable[[], bytes]]
    folds: Mapping[str, Frozen]

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """Named bytes, made as they are asked for."""
        for name, encode in self.plain.items():
            yield name, encode()
        for prefix, fold in self.folds.items():
            for name, data in fold.parts().items():
                yield f"{prefix}/{name}", data


def parts_below(prefix: str, parts: Mapping[str, bytes]) -> dict[str, bytes]:
    """The parts of one fold, by its own names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): data for name, data in parts.items() if name.startswith(start)}
