"""What a disk may hold after the power fails: made from what a process asked the system to write.

`record` runs a command under strace and keeps every change of files below a folder, in order. `Disk` replays the
changes up to some moment and draws a state that the promises of POSIX allow then: what was synced is there; of what was
not, each write may be there, missing or torn at a sector, and of each directory's changes any first part may be.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath

SECTOR = 512
CALLS = (
    "open,openat,creat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,truncate,"
    "mkdir,mkdirat,rmdir,link,linkat,lseek"
)
UNKNOWN = "writev,pwritev,pwritev2,sendfile,copy_file_range,fallocate,sync_file_range,symlink,symlinkat"
"""Calls that change files in ways that are not replayed: seen below the folder they fail the recording."""


@dataclass(frozen=True)
class Call:
    """One system call that has returned: its name, the text of its arguments, what it gave, and whose it was."""

    name: str
    args: str
    result: int
    thread: str = ""


@dataclass
class Inode:
    """A file: its bytes when last synced, and the changes since: (offset, bytes), or (length, None) for a cut."""

    synced: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    size: int = 0

    def change(self, offset: int, data: bytes | None) -> None:
        self.pending.append((offset, data))
        self.size = offset if data is None else max(self.size, offset + len(data))

    def sync(self) -> None:
        self.synced = _changed(self.synced, self.pending)
        self.pending = []


@dataclass(frozen=True)
class Entry:
    """A change of a directory: `name` now means `what` (None: nothing), and `source`, a path, means nothing more."""

    name: str
    what: Inode | str | None
    source: str | None = None


FOLDER = "folder"


class Disk:
    """The files below `root`, as the system shows them and as the disk may hold them."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.shown: dict[str, Inode | str] = {self.root: FOLDER}
        self._held: dict[str, Inode | str] = {self.root: FOLDER}
        self._pending: dict[str, list[Entry]] = {}
        self._places: dict[tuple[int, int], int] = {}

    # --- replaying ---

    def apply(self, call: Call) -> bool:
        """Whether the call changed or synced anything below the root."""
        words = _words(call.args)
        method = {"openat": self._open, "open": self._open, "creat": self._open, "write": self._write}.get(call.name)
        method = method or getattr(self, f"_{call.name}", None)
        if method is None:
            assert not any(self._inside(word) for word in words), f"{call.name} is not replayed: {call.args[:200]}"
            return False
        return bool(method(words, call))

    def _inside(self, path: str) -> bool:
        return path.startswith(self.root + "/") or path == self.root

    def _enter(self, path: str, what: Inode | str | None, source: str | None = None) -> bool:
        if not self._inside(path):
            return False
        parent = str(PurePosixPath(path).parent)
        self._pending.setdefault(parent, []).append(Entry(path, what, source))
        if source is not None and what == FOLDER:  # what waits inside waits there under the new name
            below = [each for each in self._pending if _is_below(each, source)]
            for old in below:
                entries = self._pending.pop(old)
                renamed = [Entry(_moved(e.name, source, path), e.what, e.source) for e in entries]
                self._pending[_moved(old, source, path)] = renamed
        self._hold(self.shown, Entry(path, what, source))
        return True

    def _file(self, path: str) -> Inode | None:
        found = self.shown.get(path)
        return found if isinstance(found, Inode) else None

    def _open(self, words: list[str], call: Call) -> bool:
        path = next((word for word in words if self._inside(word)), None)
        if path is None or call.result < 0:
            return False
        changed = False
        file = self._file(path)
        if file is None and "O_CREAT" in call.args:
            file = Inode()
            changed = self._enter(path, file)
        if file is not None:
            self._places[call.result, id(file)] = 0
            if "O_TRUNC" in call.args and file.size:
                file.change(0, None)
                changed = True
        return changed

    def _write(self, words: list[str], call: Call) -> bool:
        number, file = self._target(words, call)
        if file is None or call.result <= 0:
            return False
        key = (number, id(file))
        place = self._places.get(key, file.size)
        file.change(place, _data(call.args)[: call.result])
        self._places[key] = place + call.result
        return True

    def _pwrite64(self, words: list[str], call: Call) -> bool:
        _, file = self._target(words, call)
        if file is None or call.result <= 0:
            return False
        file.change(int(call.args.rsplit(",", 1)[1]), _data(call.args)[: call.result])
        return True

    def _lseek(self, words: list[str], call: Call) -> bool:
        number, file = self._target(words, call)
        if file is not None and call.result >= 0:
            self._places[number, id(file)] = call.result
        return False

    def _ftruncate(self, words: list[str], call: Call) -> bool:
        _, file = self._target(words, call)
        if file is None:
            return False
        file.change(int(call.args.rsplit(",", 1)[1]), None)
        return True

    def _fsync(self, words: list[str], call: Call) -> bool:
        path = words[0] if words else ""
        if not self._inside(path):
            return False
        file = self._file(path)
        if file is not None:
            file.sync()
        for entry in self._pending.pop(path, []):
            self._hold(self._held, entry)
        return True

    _fdatasync = _fsync

    def _rename(self, words: list[str], call: Call) -> bool:
        if call.result < 0 or not words or not self._inside(words[-1]):
            return False
        source, target = [word for word in words if self._inside(word)][-2:]
        return self._enter(target, self.shown[source], source)

    _renameat = _renameat2 = _rename

    def _unlink(self, words: list[str], call: Call) -> bool:
        path = next((word for word in reversed(words) if self._inside(word)), None)
        return path is not None and call.result == 0 and self._enter(path, None)

    _unlinkat = _rmdir = _unlink

    def _mkdir(self, words: list[str], call: Call) -> bool:
        path = next((word for word in reversed(words) if self._inside(word)), None)
        return path is not None and call.result == 0 and self._enter(path, FOLDER)

    _mkdirat = _mkdir

    def _link(self, words: list[str], call: Call) -> bool:
        if call.result < 0 or not words or not self._inside(words[-1]):
            return False
        source, target = [word for word in words if self._inside(word)][-2:]
        return self._enter(target, self.shown[source])

    _linkat = _link

    def _target(self, words: list[str], call: Call) -> tuple[int, Inode | None]:
        """The number and the file of the descriptor that a call names first."""
        return int(call.args.partition("<")[0] or -1), self._file(words[0]) if words else None

    # --- what may be left ---

    def draw(self, rng: random.Random) -> dict[str, bytes | None]:
        """One state that the disk may be in now: path -> bytes, None for a folder."""
        held = dict(self._held)
        for entries in self._pending.values():
            for entry in entries[: rng.choice([0, len(entries), rng.randint(0, len(entries))])]:
                self._hold(held, entry)
        reachable = {
            path for path in held if all(str(up) in held for up in PurePosixPath(path).parents if self._inside(str(up)))
        }
        return {
            path: None if what == FOLDER else self._content(what, rng)  # type: ignore[arg-type]
            for path, what in held.items()
            if path in reachable
        }

    @staticmethod
    def _hold(held: dict[str, Inode | str], entry: Entry) -> None:
        if entry.source is not None:
            for path in [each for each in held if _is_below(each, entry.source)]:
                held[_moved(path, entry.source, entry.name)] = held.pop(path)
        if entry.what is None:
            held.pop(entry.name, None)
        else:
            held[entry.name] = entry.what

    @staticmethod
    def _content(file: Inode, rng: random.Random) -> bytes:
        fate = rng.choice(["all", "none", "some"])
        if fate == "all":
            return _changed(file.synced, file.pending)
        return _changed(file.synced, [c for each in file.pending if fate == "some" for c in _maybe(each, rng)])


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def _moved(path: str, source: str, target: str) -> str:
    return target + path.removeprefix(source) if _is_below(path, source) else path


def _maybe(change: tuple[int, bytes | None], rng: random.Random) -> list[tuple[int, bytes | None]]:
    """A change that was not synced: there, missing, or some of its sectors."""
    offset, data = change
    if data is None or rng.random() < 0.7:
        return [change] if rng.random() < 0.6 else []
    cuts = [0, *(n for n in range(SECTOR - offset % SECTOR, len(data), SECTOR)), len(data)]
    parts = [(offset + a, data[a:b]) for a, b in pairwise(cuts) if b > a]
    return [part for part in parts if rng.random() < 0.5]


def _changed(before: bytes, changes: Sequence[tuple[int, bytes | None]]) -> bytes:
    content = bytearray(before)
    for offset, data in changes:
        if len(content) < offset:
            content.extend(bytes(offset - len(content)))
        if data is None:
            del content[offset:]
        else:
            content[offset : offset + len(data)] = data
    return bytes(content)


# --- strace ----------------------------------------------------------------------------------------------------------

_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+|\?)")
_BEGUN = re.compile(r"^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$")
_ENDED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\d+|\?)")
_WORD = re.compile(r'<((?:\\x[0-9a-f]{2})+)>|"((?:\\x[0-9a-f]{2})*)"')


def record(command: Sequence[str], trace: Path, env: dict[str, str] | None = None) -> str:
    """Run `command` under strace; its standard output. Calls of all its threads and children lie in `trace`."""
    strace = ["strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "1000000000", "-e", f"trace={CALLS},{UNKNOWN}"]
    ran = subprocess.run(
        [*strace, "-o", str(trace), *command], capture_output=True, text=True, env=env or os.environ.copy(), check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def calls(trace: Path) -> Iterator[Call]:
    """The calls in order of their return."""
    begun: dict[str, str] = {}
    with trace.open() as lines:
        for line in lines:
            if found := _LINE.match(line):
                yield Call(found[2], found[3], _number(found[4]), found[1])
            elif found := _BEGUN.match(line.rstrip("\n")):
                begun[found[1]] = found[3]
            elif found := _ENDED.match(line):
                yield Call(found[2], begun.pop(found[1], "") + found[3], _number(found[4]), found[1])


def written(call: Call) -> str:
    """The text that a write wrote."""
    return _data(call.args).decode()


def _number(text: str) -> int:
    return -1 if text == "?" else int(text)


def _words(args: str) -> list[str]:
    """Paths in the arguments, in order: those of descriptors and texts; a relative one lies below the one before it."""
    found: list[str] = []
    for match in _WORD.finditer(args if len(args) < 4096 else args[:4096]):
        text = _bytes(match[1] if match[1] is not None else match[2]).decode(errors="replace")
        if match[1] is None and not text.startswith("/") and found and args.startswith(("AT_FDCWD", *"0123456789")):
            text = f"{found[-1]}/{text}"
        found.append(os.path.normpath(text) if text.startswith("/") else text)
    return found


def _data(args: str) -> bytes:
    match = re.search(r'"((?:\\x[0-9a-f]{2})*)"', args)
    assert match, args[:200]
    return _bytes(match[1])


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
