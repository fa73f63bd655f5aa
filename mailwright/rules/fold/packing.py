"""State as bytes: MessagePack with NumPy arrays as extension values. No pickle: reading runs no code."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mailwright.core.errors import Corrupt

_ARRAY = 1
_BIG = 2  # integers beyond 64 bit, as decimal text


def pack(state: Any) -> bytes:
    """Bytes of plain data (dicts, lists, text, numbers, bytes) with arrays in it."""
    return _encoder.encode(state)


def unpack(data: bytes) -> Any:
    """What `pack` wrote; arrays are fresh and writable.

    Raises:
        Corrupt: If the bytes are none.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise Corrupt("fold.checkpoint", f"the fold's state cannot be read: {error}") from error


def _write(value: Any) -> msgspec.msgpack.Ext:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} has no place in a checkpoint")
    if value.dtype == object:
        return msgspec.msgpack.Ext(_BIG, msgspec.msgpack.encode([str(cell) for cell in value]))
    return msgspec.msgpack.Ext(_ARRAY, msgspec.msgpack.encode([value.dtype.str, value.tobytes()]))


def _read(code: int, data: memoryview) -> NDArray[Any]:
    if code == _BIG:
        return np.array([int(cell) for cell in msgspec.msgpack.decode(data, type=list[str])], dtype=object)
    dtype, raw = msgspec.msgpack.decode(data, type=tuple[str, bytes])
    return np.frombuffer(raw, dtype=np.dtype(dtype)).copy()


_encoder = msgspec.msgpack.Encoder(enc_hook=_write)
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(ext_hook=_read)
