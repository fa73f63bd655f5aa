"""JSON-shaped values and mail bodies as they lie in Records: compressed."""

from __future__ import annotations

from typing import Any

import msgspec
import zstandard

from mailwright.core.errors import Corrupt

_LEVEL = 3
# A frame names the size of its content; a rotten one must not make us ask for more memory than any value needs.
_MAX_BYTES = 256_000_000


def pack_bytes(data: bytes) -> bytes:
    """Compress; the frame carries a checksum, so `unpack_bytes` notices rotten bytes."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(data)


def unpack_bytes(data: bytes) -> bytes:
    """What `pack_bytes` was given.

    Raises:
        Corrupt: If the bytes are not what was written.
    """
    try:
        if zstandard.frame_content_size(data) > _MAX_BYTES:
            raise Corrupt("records.value", "a stored value claims an impossible size")
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise Corrupt("records.value", f"a stored value cannot be decompressed: {error}") from error


def pack_json(value: Any) -> bytes:
    """A JSON-shaped value as compressed JSON."""
    return pack_bytes(msgspec.json.encode(value))


def unpack_json(data: bytes) -> Any:
    """The value that `pack_json` was given; tuples come back as lists."""
    try:
        return msgspec.json.decode(unpack_bytes(data))
    except msgspec.DecodeError as error:
        raise Corrupt("records.value", f"a stored value is no JSON: {error}") from error
