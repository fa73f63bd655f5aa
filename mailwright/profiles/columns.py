"""Columns of whole numbers as bytes of a checkpoint: little-endian int64 on every machine."""

from __future__ import annotations

import sys
from array import array

_SWAPPED = sys.byteorder == "big"


def little_endian(column: array[int]) -> bytes:
    """A column of ``q`` as bytes."""
    if not _SWAPPED:
        return column.tobytes()
    swapped = array("q", column)
    swapped.byteswap()
    return swapped.tobytes()


def from_little_endian(raw: bytes) -> array[int]:
    """The column that `little_endian` wrote.

    Raises:
        ValueError: If the bytes are no whole number of values.
    """
    column = array("q")
    column.frombytes(raw)
    if _SWAPPED:
        column.byteswap()
    return column
