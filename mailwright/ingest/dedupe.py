"""Which events were seen before: an exact set of 128-bit hashes of (source, message id).

By the birthday bound two of 10^10 ids collide with probability 1.5 x 10^-19, far below that of a memory error, so
the hash stands for the id. Hashes lie in sorted runs of 16 bytes an id; the newest are in a small set.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec
import numpy as np
from numpy.typing import NDArray

from mailwright.core.errors import Corrupt

_FORMAT = 1
_RECENT_MAX = 1 << 16  # a set entry costs about 100 bytes: at most 7 MB before it becomes a run of 1 MB
_GROWTH = 2  # a run is merged into the older one unless that is at least twice as long: runs stay few


class _State(msgspec.Struct, array_like=True):
    """Runs as 16-byte hashes in order, longest run first."""

    format: int
    runs: list[bytes]


class _Run:
    """Hashes as two columns of uint64, sorted by (high, low)."""

    __slots__ = ("high", "low")

    def __init__(self, high: NDArray[np.uint64], low: NDArray[np.uint64]) -> None:
        self.high = high
        self.low = low

    def __len__(self) -> int:
        return len(self.high)

    def has(self, high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """For each hash whether it is in the run. Equal high halves, though rare, are told apart by the low ones."""
        found = np.zeros(len(high), dtype=np.bool_)
        place = np.searchsorted(self.high, high)
        open_ = np.flatnonzero(place < len(self))
        while len(open_):
            at = place[open_]
            same = self.high[at] == high[open_]
            hit = same & (self.low[at] == low[open_])
            found[open_[hit]] = True
            open_ = open_[same & ~hit]
            place[open_] += 1
            open_ = open_[place[open_] < len(self)]
        return found


class DedupeIndex:
    """An exact, growing set of (source, message id) pairs; part of the engine's state."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._recent: set[bytes] = set()

    def fresh(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """Add (source, message id) pairs; for each whether it was new, the first of equal ones in a batch being so."""
        digests = _digests(pairs)
        old = self._in_runs(digests)
        recent = self._recent
        fresh = []
        for digest, known in zip(digests, old, strict=True):
            new = not known and digest not in recent
            if new:
                recent.add(digest)
            fresh.append(new)
        if len(recent) > _RECENT_MAX:
            self._settle()
        return fresh

    def __len__(self) -> int:
        return len(self._recent) + sum(map(len, self._runs))

    def _in_runs(self, digests: list[bytes]) -> list[bool]:
        high, low = _columns(b"".join(digests))
        old = np.zeros(len(digests), dtype=np.bool_)
        for run in self._runs:
            old |= run.has(high, low)
        return old.tolist()

    def _settle(self) -> None:
        """Turn the recent set into a run and merge runs of like length."""
        self._runs.append(_sorted_run(*_columns(b"".join(self._recent))))
        self._recent = set()
        while len(self._runs) > 1 and len(self._runs[-2]) < _GROWTH * len(self._runs[-1]):
            newer, older = self._runs.pop(), self._runs.pop()
            high = np.concatenate((older.high, newer.high))
            self._runs.append(_sorted_run(high, np.concatenate((older.low, newer.low))))

    def dump(self) -> bytes:
        """The index as bytes."""
        runs = [np.column_stack((run.high, run.low)).astype(">u8").tobytes() for run in self._runs]
        recent = b"".join(sorted(self._recent))
        return msgspec.msgpack.encode(_State(_FORMAT, [*runs, recent] if recent else runs))

    @classmethod
    def load(cls, data: bytes) -> DedupeIndex:
        """The index that `dump` wrote.

        Raises:
            Corrupt: If the bytes are none.
        """
        try:
            state = msgspec.msgpack.decode(data, type=_State)
        except msgspec.MsgspecError as error:
            raise Corrupt("dedupe.state", f"the dedupe index cannot be decoded: {error}") from error
        if state.format != _FORMAT or any(len(run) % 16 for run in state.runs):
            raise Corrupt("dedupe.state", f"the dedupe index has format {state.format}, or a torn run")
        index = cls()
        index._runs = [_Run(*_columns(run)) for run in state.runs]
        return index


def _digests(pairs: Sequence[tuple[str, str]]) -> list[bytes]:
    """16-byte hashes. The source's length goes in first, so that no two pairs are the same bytes."""
    seeds: dict[str, blake2b] = {}
    digests = []
    for source, message_id in pairs:
        seed = seeds.get(source)
        if seed is None:
            name = source.encode()
            seed = seeds[source] = blake2b(len(name).to_bytes(4, "big") + name, digest_size=16)
        hasher = seed.copy()
        hasher.update(message_id.encode())
        digests.append(hasher.digest())
    return digests


def _columns(raw: bytes) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    table = np.frombuffer(raw, dtype=">u8").reshape(-1, 2).astype(np.uint64)
    return np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])


def _sorted_run(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> _Run:
    # Sorting by the high half alone leaves equal ones in any order, which `has` allows for.
    order = np.argsort(high, kind="stable")
    return _Run(high[order], low[order])
