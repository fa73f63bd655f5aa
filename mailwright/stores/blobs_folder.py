"""Blobs in a folder, each in a file named by its hash."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from mailwright.core.errors import Corrupt, NotFound
from mailwright.stores.files import make_folder, sync_folder, write_durably

_NAME = re.compile(r"[0-9a-f]{64}")


class FolderBlobs:
    """The Blobs port over ``FOLDER/ab/abcdef...``: two levels keep a folder's listing short."""

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)
        make_folder(self._folder)

    def put(self, data: bytes) -> str:
        """See `mailwright.core.ports.Blobs.put`."""
        name = hashlib.sha256(data).hexdigest()
        path = self._path(name)
        if not _holds(path, name):
            write_durably(path, data)
        return name

    def get(self, name: str) -> bytes:
        """See `mailwright.core.ports.Blobs.get`."""
        try:
            data = self._path(name).read_bytes()
        except FileNotFoundError:
            raise NotFound("blob.missing", f"there is no blob {name}") from None
        if hashlib.sha256(data).hexdigest() != name:
            raise Corrupt("blob.hash", f"blob {name} does not have that hash", hint="restore it from a backup")
        return data

    def delete(self, name: str) -> None:
        """See `mailwright.core.ports.Blobs.delete`."""
        path = self._path(name)
        if path.exists():
            path.unlink(missing_ok=True)
            sync_folder(path.parent)

    def _path(self, name: str) -> Path:
        # The name may come from a definition or a log record: nothing but a hash ever becomes a path.
        if not _NAME.fullmatch(name):
            raise NotFound("blob.missing", f"{name!r} is not the name of a blob")
        return self._folder / name[:2] / name


def _holds(path: Path, name: str) -> bool:
    """Whether the file is there and whole; a rotten one is written anew by the next put."""
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == name
