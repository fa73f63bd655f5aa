"""The one way in which Mailwright writes a file that must survive a power cut."""

from __future__ import annotations

import errno
import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailwright.core.errors import MailwrightError, Permanent, Transient

_FULL = {errno.ENOSPC, errno.EDQUOT}


def write_durably(path: Path, data: bytes) -> None:
    """Put `data` at `path`: afterwards, and after a power cut at any moment, it is there whole or not at all.

    A file already there is replaced in one step. Leftovers of a cut are named ``.NAME.*.tmp`` and mean nothing.

    Raises:
        Transient: If the disk is full; nothing is left behind.
        Permanent: If the file cannot be written for another reason.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        _write_and_sync(temporary, data)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise file_error(path, error) from error


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Create a folder, and those above it, so that its name survives a power cut; one already there is left alone.

    `mode` is the new folder's own, less what the umask takes.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=mode, exist_ok=True)
    sync_folder(path.parent)


@contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Hold a lock file for this thread alone, among all processes that ask; a process that dies gives it back."""
    with _locked(path, os.O_RDWR | os.O_CREAT):
        yield


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Hold a folder for this thread alone, among all processes that ask; it leaves no file behind.

    For what a store must do undisturbed when it opens: two processes that both turn a new SQLite file to WAL do not
    wait for each other, whatever the busy timeout, but one of them fails.
    """
    make_folder(path)
    with _locked(path, os.O_RDONLY):
        yield


@contextmanager
def _locked(path: Path, flags: int) -> Iterator[None]:
    handle = os.open(path, flags, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Make the names inside a folder durable."""
    sync_path(path)


def sync_path(path: Path) -> None:
    """Make a file's bytes, or a folder's names, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_error(path: Path, error: OSError) -> MailwrightError:
    """The error to raise for a failed write: Transient for a full disk, otherwise Permanent."""
    if error.errno in _FULL:
        return Transient(
            "store.disk_full", f"no space left to write {path}", hint="free space; it then goes on by itself"
        )
    return Permanent("store.write", f"{path} cannot be written: {error.strerror or error}")


def _write_and_sync(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
