"""Calculations with values of many people."""

from __future__ import annotations

from typing import Literal

import numpy as np

from mailwright.rules.fold.cells import Cells, Fading, Loose, forever
from mailwright.rules.fold.frame import Frame, Reader
from mailwright.rules.fold.rows import Ints
from mailwright.rules.values import calculated


def arithmetic(op: Literal["+", "-", "*", "/"], left: Reader, right: Reader) -> Reader:
    """One value by another, person by person."""

    def read(frame: Frame) -> Cells:
        a, b = left(frame), right(frame)
        found = [calculated(op, x, y) for x, y in zip(a.values(), b.values(), strict=True)]
        return Loose(found, _until(op, a, b))

    return read


def _until(op: str, a: Cells, b: Cells) -> Ints:
    """Two scores that fade alike keep their quotient: shares of interest change by events only."""
    if op == "/" and isinstance(a, Fading) and isinstance(b, Fading) and a.fades_like(b):
        return forever(len(a.until))
    return np.minimum(a.until, b.until)
