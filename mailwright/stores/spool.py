"""A spool: what an import has read, checked and sealed, on its way to the log, in one file that is whole or not there.

A head with an id of its own, then frames of 4 bytes length, 4 bytes CRC-32 and that many bytes of zstd; the last frame
is the trailer, written by `finish` together with the name. So whoever finds the file under its name can deliver it from
any frame on, after any crash.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import zstandard

from mailwright.core.errors import Corrupt
from mailwright.stores.files import make_folder, sync_folder

_FRAME = struct.Struct("<II")
_MAGIC = b"MWSPOOL2"
_ID_BYTES = 16


class SpoolWriter:
    """Writes a spool beside its name; only `finish` puts it there. Left without, nothing stays."""

    def __init__(self, path: Path) -> None:
        make_folder(path.parent, 0o700)
        self._path = path
        self._part = path.with_name(f"{path.name}.part-{os.getpid()}")
        self._file = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", 1 << 20)
        self._file.write(_MAGIC + os.urandom(_ID_BYTES))
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._done = False

    def __enter__(self) -> SpoolWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._done:
            self._file.close()
            self._part.unlink(missing_ok=True)

    def add(self, data: bytes) -> None:
        """Append a frame."""
        packed = self._compressor.compress(data)
        self._file.write(_FRAME.pack(len(packed), zlib.crc32(packed)))
        self._file.write(packed)

    def finish(self, trailer: bytes) -> None:
        """Write the trailer and, once all is on the disk, give the file its name."""
        self.add(trailer)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._part, self._path)
        sync_folder(self._path.parent)
        self._done = True


def read_spool(path: Path) -> Iterator[bytes]:
    """The frames of a finished spool in order, the trailer last.

    Raises:
        Corrupt: If a frame is not what was written.
    """
    unpack = zstandard.ZstdDecompressor()
    with path.open("rb", 1 << 20) as file:
        _read_head(path, file)
        while head := file.read(_FRAME.size):
            length, crc = _FRAME.unpack(head) if len(head) == _FRAME.size else (0, -1)
            data = file.read(length)
            if len(data) != length or zlib.crc32(data) != crc:
                raise Corrupt("import.spool", f"{path} is torn: delete it and run the import again")
            yield unpack.decompress(data, max_output_size=1 << 28)


def spool_id(path: Path) -> str:
    """What tells this spool from every other one, also from one of the same name before or after it.

    Raises:
        Corrupt: If it is no spool.
    """
    with path.open("rb") as file:
        return _read_head(path, file)


def _read_head(path: Path, file: BinaryIO) -> str:
    head = file.read(len(_MAGIC) + _ID_BYTES)
    if len(head) != len(_MAGIC) + _ID_BYTES or not head.startswith(_MAGIC):
        raise Corrupt("import.spool", f"{path} is no spool of an import")
    return head[len(_MAGIC) :].hex()


def drop_parts(path: Path) -> None:
    """Remove what a killed writer of this spool left."""
    for part in path.parent.glob(f"{path.name}.part-*"):
        part.unlink(missing_ok=True)
