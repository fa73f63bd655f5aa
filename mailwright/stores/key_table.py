"""The keys of an import's rows, kept between runs: which rows there were, what they said, and what ends them.

24 bytes a row and what must be known to tell its end, in one Parquet file, sorted by the key's 128-bit hash.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mailwright.stores.files import make_folder, sync_folder

_CHUNK = 50_000


class KeyTable:
    """The keys of one import: read from `path` (none yet: empty), compared with a run's rows, written for the next.

    Args:
        path: Of the file.
        anew: What is kept of a row is kept anew, also if the row is as it was: other things may be needed of it now.
        n_run: Counts the runs.
    """

    def __init__(self, path: Path, *, anew: bool = False, n_run: int = 0) -> None:
        self._anew = anew
        self._n_run = n_run
        there = pq.read_table(path) if path.exists() else None
        self._high = np.asarray(there["high"]) if there else np.zeros(0, np.uint64)
        self._low = np.asarray(there["low"]) if there else np.zeros(0, np.uint64)
        self._content = np.asarray(there["content"]) if there else np.zeros(0, np.uint64)
        self._kept: Any = there["kept"] if there else pa.chunked_array([], pa.large_binary())
        self._view = self._high.data
        self._seen = np.zeros(len(self._high), np.bool_)
        self._gone = np.zeros(len(self._high), np.bool_)
        self._new = (array("Q"), array("Q"), array("Q"))
        self._new_kept: list[bytes] = []
        self._chunks: list[pa.Array] = []
        self._now: dict[tuple[int, int], tuple[int, bytes]] = {}

    def __len__(self) -> int:
        return len(self._high)

    def turn(self, _key: bytes) -> int:
        """Tells this time from others at which a row of this key was told: the number of the run."""
        return self._n_run

    def seen(self, key: bytes) -> None:
        """The row of this key is still there."""
        place = self._place(*_halves(key))
        if place >= 0:
            self._seen[place] = True

    def is_new(self, key: bytes, content: bytes, kept: bytes) -> bool:
        """Whether the row of this key is new or says something else than in the run before; it is noted as seen."""
        high, low = _halves(key)
        place, digest = self._place(high, low), _word(content)
        if place >= 0 and not self._gone[place]:
            self._seen[place] = True
            if self._content[place] == digest:
                if self._anew:
                    self._add(high, low, digest, kept)
                return False
        self._add(high, low, digest, kept)
        return True

    def advance(self, key: bytes, position: int, _content: bytes, kept: bytes) -> bytes | None:
        """A change of the row of this key, at a position of 63 bits: what was kept of it before, empty for a new row.

        None for a change that is older than what is known: nothing is noted then. What is kept of a deleted row is
        empty; its position stays, so that an old change does not bring it back. What it says is not compared.
        """
        high, low = _halves(key)
        known = self._now.get((high, low))
        if known is None:
            place = self._place(high, low)
            known = (int(self._content[place]), bytes(self._kept[place].as_py())) if place >= 0 else (-1, b"")
        if position < known[0]:
            return None
        self._now[high, low] = (position, kept)
        return known[1]

    def forget(self, key: bytes) -> bytes | None:
        """The row of this key was deleted: what was kept of it, None if it was not there."""
        place = self._place(*_halves(key))
        if place < 0 or self._gone[place]:
            return None
        self._gone[place] = self._seen[place] = True
        return bytes(self._kept[place].as_py())

    def unseen(self) -> Iterator[bytes]:
        """What was kept of each row that was there and was not seen in this run; they are forgotten.

        One whose end could not be taken stays, see `write`: the next run finds it again.
        """
        for place in np.flatnonzero(~self._seen):
            self._gone[place] = True
            yield bytes(self._kept[int(place)].as_py())

    def put_back(self, keys: Collection[bytes], before: KeyTable) -> None:
        """Know of these keys what an earlier table knew, for whatever it was written since was not taken."""
        for key in set(keys):
            halves = _halves(key)
            if (place := self._place(*halves)) >= 0:
                self._gone[place] = True
            if (old := before._place(*halves)) >= 0:
                self._add(*halves, int(before._content[old]), bytes(before._kept[old].as_py()))

    def write(self, path: Path, refused: Collection[bytes] = (), *, only_seen: bool = False) -> None:
        """Write what the next run must know; durable when this returns.

        Args:
            path: Where to.
            refused: Keys of rows, or of ends of rows, that could not be taken: of them stays what was known before,
                so that `is_new` says of the very same row that it is, and one that is gone is found gone again.
            only_seen: Rows that were not seen in this run are forgotten.
        """
        without = {_halves(key) for key in refused}
        for halves in without:
            if (place := self._place(*halves)) >= 0:
                self._gone[place] = False
            if not self._now.get(halves, (0, b"there"))[1]:  # not one that came back after its end
                del self._now[halves]
        n_new, n_now = len(self._new[0]), len(self._now)
        rows = zip(*self._new[:2], strict=True)
        taken = np.fromiter((halves not in without for halves in rows), np.bool_) if without else np.ones(n_new, bool)
        taken = np.concatenate((taken, np.ones(n_now, np.bool_)))
        for halves, (position, told) in self._now.items():
            self._add(*halves, position, told)
        self._now.clear()
        self._chunks.append(pa.array(self._new_kept, pa.large_binary()))
        self._new_kept = []
        high, low, content = (np.array(column, dtype=np.uint64) for column in self._new)
        stays = ~self._gone & self._seen if only_seen else ~self._gone
        columns = [
            np.concatenate((old[stays], new[taken]))
            for old, new in ((self._high, high), (self._low, low), (self._content, content))
        ]
        new_kept = pa.chunked_array(self._chunks, pa.large_binary()).filter(pa.array(taken))
        kept = pa.chunked_array([*self._kept.filter(pa.array(stays)).chunks, *new_kept.chunks], pa.large_binary())
        order = _last_of_each(columns[0], columns[1])
        table = pa.table(
            {
                "high": columns[0][order],
                "low": columns[1][order],
                "content": columns[2][order],
                "kept": kept.take(pa.array(order)),
            }
        )
        make_folder(path.parent, 0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)

    def _add(self, high: int, low: int, content: int, kept: bytes) -> None:
        for column, value in zip(self._new, (high, low, content), strict=True):
            column.append(value)
        self._new_kept.append(kept)
        if len(self._new_kept) >= _CHUNK:
            self._chunks.append(pa.array(self._new_kept, pa.large_binary()))
            self._new_kept = []

    def _place(self, high: int, low: int) -> int:
        place = bisect_left(self._view, high)
        while place < len(self._view) and self._view[place] == high:
            if self._low[place] == low:
                return place
            place += 1
        return -1


def _halves(key: bytes) -> tuple[int, int]:
    digest = blake2b(key, digest_size=16).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")


def _word(content: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big")


def _last_of_each(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.intp]:
    """The order of the keys; of one that is there twice only the later: a stable sort keeps it last."""
    order = np.lexsort((np.arange(len(high)), low, high))
    high, low = high[order], low[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return order[last]
