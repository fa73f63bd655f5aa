"""Which events were seen before: an exact set of 128-bit hashes of (source, message id).

By the birthday bound two of 10^10 ids collide with probability 1.5 x 10^-19, far below that of a memory error, so
the hash stands for the id. Hashes lie in sorted runs of 16 bytes an id; the newest are in small sets.

An id is remembered for at least 28 days after the log took it, and for ever if it came by an import, whose file may be
read again at any time. So that old ones can be let go, a run holds ids of one week only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from hashlib import blake2b

import msgspec
import numpy as np
from numpy.typing import NDArray

from mailwright.core.errors import Corrupt
from mailwright.core.instants import DAY, Instant

RETENTION = 28 * DAY
"""Microseconds for which an id is remembered at least; it is let go within a week after."""

_FORMAT = 2
_RECENT_MAX = 1 << 16  # a set entry costs about 100 bytes: at most 7 MB before it becomes a run of 1 MB
_GROWTH = 2  # a run is merged into the older one unless that is at least twice as long: runs stay few
_RUN_MAX = 1 << 24  # a run of 256 MB grows no more: merging it took a second, and each checkpoint would hold it anew
_FEW = 16  # up to so many hashes are looked up one by one, for NumPy's overhead would cost more

_WEEK = 7 * DAY
_KEPT_WEEKS = RETENTION // _WEEK
_FOR_EVER = 1 << 40  # in the place of a week's number


class _State(msgspec.Struct, array_like=True):
    """(week, hashes of 16 bytes in order): runs in the order in which they were made, then the recent sets."""

    format: int
    runs: list[tuple[int, bytes]]
    recent: list[tuple[int, bytes]]


class _Run:
    """Hashes of one week as two columns of uint64, sorted by the high halves; never changed."""

    __slots__ = ("_view", "high", "low", "week")

    def __init__(self, week: int, high: NDArray[np.uint64], low: NDArray[np.uint64]) -> None:
        self.week = week
        self.high = high
        self.low = low
        self._view = high.data

    def __len__(self) -> int:
        return len(self.high)

    def has_one(self, high: int, low: int) -> bool:
        """Whether one hash is in the run."""
        place = bisect_left(self._view, high)
        while place < len(self._view) and self._view[place] == high:
            if self.low[place] == low:
                return True
            place += 1
        return False

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

    def raw(self) -> bytes:
        """The hashes as bytes."""
        return np.column_stack((self.high, self.low)).astype(">u8").tobytes()


class DedupeIndex:
    """An exact, growing set of (source, message id) pairs; part of the engine's state."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._recent: dict[int, set[bytes]] = {}  # by week: this one's, and what stays for ever
        self._week = -1
        self._seeds: dict[str, blake2b] = {}

    def fresh(
        self, pairs: Sequence[tuple[str, str]], at: Instant | None = None, *, lasting: bool = False
    ) -> list[bool]:
        """Add (source, message id) pairs; for each whether it was new, the first of equal ones in a batch being so.

        Args:
            pairs: Any number.
            at: When the log took them; never before that of an earlier call. None: they are never let go, nor is
                anything else.
            lasting: Remember them for ever.
        """
        digests = self._digests(pairs)
        if not digests:
            return []
        if at is not None and at // _WEEK != self._week:
            self._turn(at // _WEEK)
        week = _FOR_EVER if lasting or at is None else self._week
        recent = self._recent.setdefault(week, set())
        others = [each for other, each in self._recent.items() if other != week]
        fresh = []
        for digest, known in zip(digests, self._in_runs(digests), strict=True):
            new = not known and digest not in recent and not any(digest in each for each in others)
            if new:
                recent.add(digest)
            fresh.append(new)
        if len(recent) > _RECENT_MAX:
            self._settle(week)
        return fresh

    def __len__(self) -> int:
        return sum(map(len, self._recent.values())) + sum(map(len, self._runs))

    def _turn(self, week: int) -> None:
        """A new week: what came before is settled, and what is older than the retention let go."""
        self._week = week
        for old in [each for each in self._recent if each not in (week, _FOR_EVER)]:
            self._settle(old)
        self._runs = [run for run in self._runs if run.week >= week - _KEPT_WEEKS]

    def _in_runs(self, digests: list[bytes]) -> list[bool]:
        if len(digests) <= _FEW:
            return [self._in_a_run(digest) for digest in digests]
        high, low = _columns(b"".join(digests))
        old = np.zeros(len(digests), dtype=np.bool_)
        for run in self._runs:
            old |= run.has(high, low)
        return old.tolist()

    def _in_a_run(self, digest: bytes) -> bool:
        high, low = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
        return any(run.has_one(high, low) for run in self._runs)

    def _settle(self, week: int) -> None:
        """Turn a recent set into a run and merge the week's runs of like length."""
        recent = self._recent.pop(week)
        if not recent:
            return
        others = [run for run in self._runs if run.week != week]
        runs = [run for run in self._runs if run.week == week]
        runs.append(_sorted_run(week, *_columns(b"".join(recent))))
        while len(runs) > 1 and len(runs[-2]) < min(_GROWTH * len(runs[-1]), _RUN_MAX):
            newer, older = runs.pop(), runs.pop()
            high = np.concatenate((older.high, newer.high))
            runs.append(_sorted_run(week, high, np.concatenate((older.low, newer.low))))
        self._runs = others + runs

    def _digests(self, pairs: Sequence[tuple[str, str]]) -> list[bytes]:
        """16-byte hashes. The source's length goes in first, so that no two pairs are the same bytes."""
        seeds = self._seeds
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

    def freeze(self) -> Callable[[], bytes]:
        """The index as it is now, to be encoded later, in any thread, while the index goes on."""
        runs = list(self._runs)
        recent = [(week, list(each)) for week, each in self._recent.items() if each]

        def encode() -> bytes:
            sets = [(week, b"".join(sorted(each))) for week, each in sorted(recent)]
            return msgspec.msgpack.encode(_State(_FORMAT, [(run.week, run.raw()) for run in runs], sets))

        return encode

    def dump(self) -> bytes:
        """The index as bytes, see `freeze`."""
        return self.freeze()()

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
        if state.format != _FORMAT or any(len(raw) % 16 for _, raw in state.runs + state.recent):
            raise Corrupt("dedupe.state", f"the dedupe index has format {state.format}, or a torn run")
        index = cls()
        index._runs = [_Run(week, *_columns(raw)) for week, raw in state.runs]
        index._recent = {week: {raw[at : at + 16] for at in range(0, len(raw), 16)} for week, raw in state.recent}
        return index


def _columns(raw: bytes) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    table = np.frombuffer(raw, dtype=">u8").reshape(-1, 2).astype(np.uint64)
    return np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])


def _sorted_run(week: int, high: NDArray[np.uint64], low: NDArray[np.uint64]) -> _Run:
    # Sorting by the high half alone leaves equal ones in any order, which `has` allows for.
    order = np.argsort(high, kind="stable")
    return _Run(week, high[order], low[order])
