"""The installation's keys: random bytes in a folder that nobody else may read.

A folder holds ``data-N.key`` (opens sealed values), ``hash-1.key`` (keyed hashes) and ``links-N.key`` (signs links);
the highest N is used for new values, older ones stay for what they once made. The hash key has no second number: hashes
are identifiers, and a new key would make every person a stranger.
"""

from __future__ import annotations

import base64
import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from mailwright.core.errors import Corrupt, NotFound, Permanent

_BYTES = 32
_MAX_ID = 255  # boxes and tokens give one byte to the key's number
_HEADER = "mailwright-key-1"
_PURPOSES = ("data", "hash", "links")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """Keys by purpose and number; 32 random bytes each, one purpose each."""

    data: Mapping[int, bytes] = field(repr=False)
    hash: bytes = field(repr=False)
    links: Mapping[int, bytes] = field(repr=False)

    @classmethod
    def open(cls, folder: Path, *, create: bool = True) -> KeyRing:
        """Load the keys in `folder`; a folder without any gets new ones (mode 0600 in a folder of mode 0700).

        Several processes may open a new folder at once: all get the same keys.

        Raises:
            NotFound: If there are no keys and `create` is false.
            Permanent: If other users may read a key.
            Corrupt: If some keys are missing or a file is no key. Never mended by new keys: what the lost ones
                sealed would be lost without a word.
        """
        found = _load(folder)
        if not found:
            if not create:
                raise NotFound("keys.missing", f"there are no keys in {folder}", "restore them from the backup")
            _create(folder)
            found = _load(folder)
        return cls._of(found, folder)

    @classmethod
    def generate(cls) -> KeyRing:
        """New keys that are stored nowhere, for a dry run or a test."""
        data, hashing, links = (secrets.token_bytes(_BYTES) for _ in _PURPOSES)
        return cls(data={1: data}, hash=hashing, links={1: links})

    @classmethod
    def _of(cls, found: Mapping[tuple[str, int], bytes], folder: Path) -> KeyRing:
        by = {purpose: {n: key for (p, n), key in found.items() if p == purpose} for purpose in _PURPOSES}
        missing = [purpose for purpose in _PURPOSES if 1 not in by[purpose]]
        if missing:
            raise Corrupt(
                "keys.incomplete",
                f"{folder} lacks {', '.join(f'{purpose}-1.key' for purpose in missing)}",
                "restore the folder from the backup: new keys cannot read what the old ones sealed",
            )
        return cls(data=MappingProxyType(by["data"]), hash=by["hash"][1], links=MappingProxyType(by["links"]))


def add_key(folder: Path, purpose: str) -> int:
    """Rotate: add the next ``data`` or ``links`` key and return its number; older ones go on opening old values."""
    if purpose not in ("data", "links"):
        raise Permanent("keys.rotate", f"the {purpose} key cannot be replaced", "only data and links keys rotate")
    number = 1 + max(n for p, n in _load(folder) if p == purpose)
    if number > _MAX_ID:
        raise Permanent("keys.rotate", f"{folder} holds {_MAX_ID} {purpose} keys, the most there can be")
    _write(folder / f"{purpose}-{number}.key", purpose)
    _sync(folder)
    return number


def _create(folder: Path) -> None:
    """Make all keys in a draft folder, then rename it: whole or not there, and the first process wins."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))  # mode 0700
    try:
        for purpose in _PURPOSES:
            _write(draft / f"{purpose}-1.key", purpose)
        _sync(draft)
        draft.rename(folder)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    _sync(folder.parent)


def _write(path: Path, purpose: str) -> None:
    text = f"{_HEADER} {purpose} {base64.b64encode(secrets.token_bytes(_BYTES)).decode()}\n"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)  # the directory entry too must survive a power cut: the log may hold sealed values soon
    finally:
        os.close(handle)


def _load(folder: Path) -> dict[tuple[str, int], bytes]:
    return dict(_read(path) for path in sorted(folder.glob("*.key")))


def _read(path: Path) -> tuple[tuple[str, int], bytes]:
    if path.stat().st_mode & 0o077:
        raise Permanent("keys.mode", f"other users may read {path}", f"run: chmod 600 {path}")
    purpose, _, number = path.stem.rpartition("-")
    try:
        header, stated, text = path.read_text("ascii").split()
        key = base64.b64decode(text, validate=True)
        n = int(number)
    except ValueError:
        raise _no_key(path) from None
    if header != _HEADER or stated != purpose or purpose not in _PURPOSES:
        raise _no_key(path)
    if len(key) != _BYTES or not 1 <= n <= _MAX_ID:
        raise _no_key(path)
    return (purpose, n), key


def _no_key(path: Path) -> Corrupt:
    return Corrupt("keys.file", f"{path} is not a key file", "restore it from the backup")
