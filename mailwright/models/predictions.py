"""What a model would show to everybody, as one blob that is read by a plain look-up."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from mailwright.core.errors import Corrupt
from mailwright.models.reasons import Reason, ReasonCode

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Prediction:
    """One item for one person, with its score and why."""

    item_id: str
    score: float
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionTable:
    """Lists of items, best first, one per identifier.

    Attributes:
        identifiers: ``kind:value`` per list, shape (n_lists,).
        everyone: Whether the last list (whose identifier is empty) is for everybody who has none of their own.
        items: Distinct item ids; the columns below name them by place.
        starts: List r is rows starts[r]..starts[r+1] of the columns; shape (n_lists + 1,).
        item: Place in `items` per row; `score`, `code` (`ReasonCode`) and `argument` likewise.
    """

    identifiers: list[str]
    everyone: bool
    items: list[str]
    starts: NDArray[np.int64]
    item: NDArray[np.int32]
    score: NDArray[np.float32]
    code: NDArray[np.uint8]
    argument: NDArray[np.int32]
    places: dict[str, int]

    @classmethod
    def of(
        cls,
        *,
        identifiers: list[str],
        everyone: bool,
        items: list[str],
        starts: NDArray[np.int64],
        item: NDArray[np.int32],
        score: NDArray[np.float32],
        code: NDArray[np.uint8],
        argument: NDArray[np.int32],
    ) -> PredictionTable:
        """A table with its index."""
        return cls(
            identifiers=identifiers,
            everyone=everyone,
            items=items,
            starts=starts,
            item=item,
            score=score,
            code=code,
            argument=argument,
            places={name: place for place, name in enumerate(identifiers)},
        )

    def ranked(self, identifier: str, n: int) -> list[Prediction]:
        """At most `n` items for an identifier, best first; the common list if there is one, else none."""
        place = self.places.get(identifier, len(self.identifiers) - 1 if self.everyone else -1)
        if place < 0:
            return []
        rows = range(self.starts[place], min(self.starts[place + 1], self.starts[place] + n))
        return [self._prediction(row) for row in rows]

    def _prediction(self, row: int) -> Prediction:
        code, argument = ReasonCode(int(self.code[row])), int(self.argument[row])
        because = code is ReasonCode.BECAUSE
        reason = Reason(code, 0 if because else argument, self.items[argument] if because else "")
        return Prediction(self.items[int(self.item[row])], float(self.score[row]), reason)

    def to_bytes(self) -> bytes:
        """MessagePack; equal tables give equal bytes. Numbers are little-endian."""
        return msgspec.msgpack.encode(
            _Wire(
                format=FORMAT,
                identifiers=self.identifiers,
                everyone=self.everyone,
                items=self.items,
                starts=self.starts.astype("<i8").tobytes(),
                item=self.item.astype("<i4").tobytes(),
                score=self.score.astype("<f4").tobytes(),
                code=self.code.astype("u1").tobytes(),
                argument=self.argument.astype("<i4").tobytes(),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> PredictionTable:
        """What `to_bytes` wrote.

        Raises:
            Corrupt: If it is not that: lengths, order and every place named are checked.
        """
        try:
            wire = msgspec.msgpack.decode(data, type=_Wire)
            table = cls.of(
                identifiers=wire.identifiers,
                everyone=wire.everyone,
                items=wire.items,
                starts=np.frombuffer(wire.starts, "<i8"),
                item=np.frombuffer(wire.item, "<i4"),
                score=np.frombuffer(wire.score, "<f4"),
                code=np.frombuffer(wire.code, "u1"),
                argument=np.frombuffer(wire.argument, "<i4"),
            )
        except (msgspec.MsgspecError, ValueError) as error:
            raise Corrupt("model.predictions", f"a table of predictions cannot be read: {error}") from error
        if wire.format != FORMAT or not _sound(table):
            raise Corrupt("model.predictions", "a table of predictions contradicts itself")
        return table


class _Wire(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    identifiers: list[str]
    everyone: bool
    items: list[str]
    starts: bytes
    item: bytes
    score: bytes
    code: bytes
    argument: bytes


def _sound(table: PredictionTable) -> bool:
    rows, starts = len(table.item), table.starts
    if len(starts) != len(table.identifiers) + 1 or len(table.places) != len(table.identifiers):
        return False
    if any(len(column) != rows for column in (table.score, table.code, table.argument)):
        return False
    if starts[0] != 0 or starts[-1] != rows or (np.diff(starts) < 0).any():
        return False
    if table.everyone and (not table.identifiers or table.identifiers[-1] != ""):
        return False
    because = table.argument[table.code == ReasonCode.BECAUSE]
    places = np.concatenate([table.item, because])
    return bool((table.code <= max(ReasonCode)).all() and (places >= 0).all() and (places < len(table.items)).all())
