"""A fold's state at rest: a quick copy at a tick, bytes afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mailwright.core.errors import Corrupt
from mailwright.rules.fold.packing import pack, unpack


class Frozen:
    """State as it stood at one moment; the fold it was taken from may go on."""

    def __init__(self, states: Mapping[str, Any]) -> None:
        self._states = {name: _copied(state) for name, state in states.items()}

    def parts(self) -> dict[str, bytes]:
        """The state as bytes by name, such as ``leaf/<key>``; equal state gives equal bytes."""
        return {name: pack(state) for name, state in self._states.items()}


class Parts(Mapping[str, Any]):
    """Frozen bytes, read part by part."""

    def __init__(self, parts: Mapping[str, bytes]) -> None:
        self._parts = parts

    def __getitem__(self, name: str) -> Any:
        """State of one part.

        Raises:
            Corrupt: If there is no such part, or its bytes are none.
        """
        if name not in self._parts:
            raise Corrupt("fold.checkpoint", f"the fold's state lacks its part {name!r}")
        return unpack(self._parts[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def _copied(state: Any) -> Any:
    """Plain data that shares nothing with `state` that can change; read-only arrays are never written to again."""
    if isinstance(state, np.ndarray):
        return state.copy() if state.flags.writeable else state
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_copied(value) for value in state]
    return state
