"""How one log record lies in the database: compressed where it pays, and checksummed."""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import zstandard

from mailwright.core.errors import Corrupt
from mailwright.core.events import Body, LogRecord, decode_body, encode_body
from mailwright.core.instants import Instant

RAW, ZSTD = 0, 1

# Below this a record hardly shrinks; above it one batch of 100 shop events shrinks to about a fifth (bench/log.py).
_COMPRESS_FROM_BYTES = 400
_LEVEL = 1
_HEADER = struct.Struct("<qqq")
_local = threading.local()


@dataclass(frozen=True, slots=True)
class Packed:
    """A body ready to be stored. `crc` covers `data` alone: number and time join it when they are known."""

    codec: int
    data: bytes
    crc: int


def pack(body: Body) -> Packed:
    """Encode, compress if that makes it smaller, and checksum."""
    codec, data = RAW, encode_body(body)
    if len(data) >= _COMPRESS_FROM_BYTES:
        smaller = _compressor().compress(data)
        if len(smaller) < len(data):
            codec, data = ZSTD, smaller
    return Packed(codec, data, zlib.crc32(data))


def pack_all(encoded: Sequence[bytes]) -> list[Packed]:
    """`pack` of bodies that are encoded already; they are compressed together, without holding other threads up."""
    packed = [Packed(RAW, data, zlib.crc32(data)) for data in encoded]
    large = [place for place, data in enumerate(encoded) if len(data) >= _COMPRESS_FROM_BYTES]
    if large:
        smaller = _compressor().multi_compress_to_buffer([encoded[place] for place in large])
        for nth, place in enumerate(large):
            data = smaller[nth].tobytes()
            if len(data) < len(encoded[place]):
                packed[place] = Packed(ZSTD, data, zlib.crc32(data))
    return packed


def checksum(number: int, at: int, codec: int, crc: int) -> int:
    """CRC-32 over the data (whose CRC-32 is `crc`) followed by number, instant and codec."""
    return zlib.crc32(_HEADER.pack(number, at, codec), crc)


def unpack(number: int, at: int, codec: int, stored: int, data: bytes) -> LogRecord:
    """The record that was stored.

    Raises:
        Corrupt: If the checksum or the encoding is wrong.
    """
    if checksum(number, at, codec, zlib.crc32(data)) != stored:
        raise Corrupt(
            "log.checksum", f"log record {number} is damaged: its checksum does not fit", hint="restore from a backup"
        )
    return LogRecord(number, Instant(at), decode_body(_decompress(number, data) if codec == ZSTD else data))


def _decompress(number: int, data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise Corrupt("log.record", f"log record {number} cannot be decompressed: {error}") from error


def _compressor() -> zstandard.ZstdCompressor:
    # One per thread: a compressor may not be used by two threads at once.
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    compressor: zstandard.ZstdCompressor = _local.compressor
    return compressor
