"""Typed decoding that is safe in threads.

msgspec builds what it knows of a type at its first use, and two threads that do so at once can end the process (seen
with 0.22; a type whose fields name another Struct is enough). So types that threads decode are built here, one at a
time, or by a decoder made when their module is imported.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_BUILDING = threading.Lock()
_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


def unpacked(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """The value of MessagePack bytes as `kind`.

    Raises:
        msgspec.MsgspecError: If the bytes are none, or not of that kind.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        with _BUILDING:
            decoder = _decoders.setdefault(kind, msgspec.msgpack.Decoder(kind))
    value: T = decoder.decode(data)
    return value


def converted(value: Any, kind: type[T]) -> T:
    """Plain data as `kind`, strictly; one thread at a time, so for what is done seldom.

    Raises:
        msgspec.ValidationError: With the path of what does not fit.
    """
    with _BUILDING:
        return msgspec.convert(value, kind)
