"""Compressed files (``.gz``, ``.zst``) as plain streams: unpacked piece by piece, and a torn one is told."""

from __future__ import annotations

import io
import zlib
from typing import Any, BinaryIO, Literal

import zstandard

Packing = Literal["", "gz", "zst"]

_PIECE_BYTES = 1 << 18
_GZIP = 16 + zlib.MAX_WBITS


class TornFile(Exception):
    """A compressed file ends too early or is broken; its text says how."""


def packing_of(name: str) -> Packing:
    """How a file is compressed, by its name."""
    return "gz" if name.lower().endswith(".gz") else "zst" if name.lower().endswith(".zst") else ""


def packing_of_bytes(data: bytes) -> Packing:
    """How data is compressed, by its first bytes."""
    return "gz" if data[:2] == b"\x1f\x8b" else "zst" if data[:4] == b"\x28\xb5\x2f\xfd" else ""


def unpacked(stream: BinaryIO, packing: Packing) -> BinaryIO:
    """The decompressed stream, which raises `TornFile` where the data is broken; a plain one comes back as it is."""
    if not packing:
        return stream
    return io.BufferedReader(_Unpacking(stream, packing), _PIECE_BYTES)


class _Unpacking(io.RawIOBase):
    """One or more compressed members, one after the other."""

    def __init__(self, stream: BinaryIO, packing: Packing) -> None:
        self._stream = stream
        self._packing = packing
        self._member: Any = None
        self._waiting = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            if not self._more():
                return 0
        n = min(len(buffer), len(self._ready))
        buffer[:n] = self._ready[:n]
        self._ready = self._ready[n:]
        return n

    def _more(self) -> bool:
        """Unpack another piece; False at the file's end."""
        if not self._waiting and not (self._packing == "gz" and self._member and self._member.unconsumed_tail):
            self._waiting = self._stream.read(_PIECE_BYTES)
            if not self._waiting:
                if self._member is not None:
                    raise TornFile("the compressed data ends too early")
                return False
        if self._member is None:
            if self._packing == "gz":
                self._member = zlib.decompressobj(_GZIP)
            else:
                self._member = zstandard.ZstdDecompressor().decompressobj()
        self._ready = memoryview(self._unpack())
        if self._member.eof:
            self._waiting = (self._member.unused_data or b"") + self._waiting
            self._member = None
        return True

    def _unpack(self) -> bytes:
        try:
            if self._packing == "gz":  # a small file that inflates without end is read in pieces, too
                fed = self._member.unconsumed_tail or self._waiting
                self._waiting = b"" if not self._member.unconsumed_tail else self._waiting
                return bytes(self._member.decompress(fed, 4 * _PIECE_BYTES))
            fed, self._waiting = self._waiting[:16_384], self._waiting[16_384:]
            return bytes(self._member.decompress(fed))
        except (zlib.error, zstandard.ZstdError) as error:
            raise TornFile(f"the compressed data is broken ({error})") from None
