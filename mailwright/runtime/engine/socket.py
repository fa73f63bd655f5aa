"""Reads over a local socket: length-prefixed MessagePack frames, one answer per request, in order.

A frame is four bytes of big-endian length and a body. The socket file lies in the data folder, which only its owner
may enter; that is the access control.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mailwright.core import errors
from mailwright.core.errors import MailwrightError, Transient
from mailwright.core.events import Item, Person
from mailwright.core.facts import AccountFacts, EngineStatus, PersonFacts
from mailwright.core.happenings import Place, Unwritten, Whose
from mailwright.core.person_graph import PersonGraph
from mailwright.core.previews import Preview
from mailwright.core.transitions import Cursor, TransitionPage
from mailwright.runtime.engine.loop import Engine
from mailwright.runtime.engine.reads import OPERATIONS
from mailwright.runtime.typed import converted, unpacked

T = TypeVar("T")
MAX_FRAME_BYTES = 256 * 1024 * 1024


class Request(msgspec.Struct, frozen=True):
    """One read: the operation's name and its arguments."""

    op: str
    args: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of it: a value, or an error of the tree in `mailwright.core.errors`."""

    value: msgspec.Raw = msgspec.Raw(b"\xc0")
    error: str = ""
    code: str = ""
    message: str = ""
    hint: str = ""


class _Asked(msgspec.Struct, frozen=True):
    """The arguments of `EngineClient.unwritten`."""

    whose: Whose
    before: Place
    limit: int


def _receive(connection: socket.socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = connection.recv(min(size, 1 << 20))
        if not part:
            raise ConnectionError("closed")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_frame(connection: socket.socket) -> bytes:
    """The body of the next frame; ConnectionError at the end or for an impossible length."""
    (size,) = struct.unpack(">I", _receive(connection, 4))
    if size > MAX_FRAME_BYTES:
        raise ConnectionError(f"a frame of {size} bytes")
    return _receive(connection, size)


def write_frame(connection: socket.socket, body: bytes) -> None:
    """Send one frame."""
    connection.sendall(struct.pack(">I", len(body)) + body)


class EngineServer:
    """Answers reads for an engine, a thread per connection."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._path = path
        path.unlink(missing_ok=True)
        self._connections: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short(path) as address:
            self._socket.bind(address)
        path.chmod(0o600)
        self._socket.listen(64)
        threading.Thread(target=self._accept, name="engine-reads", daemon=True).start()

    def close(self) -> None:
        """Take no more connections, and end those that there are: nobody may wait for an engine that has stopped."""
        for one in (self._socket, *self._connections):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits on it; closing alone would not
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._connections.add(connection)
        with connection, contextlib.suppress(OSError):
            while True:
                write_frame(connection, msgspec.msgpack.encode(self._answer(read_frame(connection))))

    def _answer(self, frame: bytes) -> Answer:
        try:
            request = unpacked(frame, Request)
            if request.op == "flush_history":
                self._engine.ask(lambda _: self._engine.flush_history()).result()
                return Answer()
            if request.op == "unwritten":  # looked through in this thread: the engine goes on meanwhile
                asked = converted(request.args, _Asked)
                pending = self._engine.ask(lambda _: self._engine.pending_history()).result()
                return _answer(pending.of(asked.whose, asked.before, asked.limit))
            operation = OPERATIONS[request.op]
            value = self._engine.ask(lambda state: operation(state, **request.args)).result()
            return _answer(value)
        except MailwrightError as error:
            return Answer(error=type(error).__name__, code=error.code, message=error.message, hint=error.hint)
        except Exception as error:  # noqa: BLE001 a bad request must not end the connection's thread without an answer
            return Answer(error="Permanent", code="engine.read", message=f"{type(error).__name__}: {error}")


class EngineClient:
    """`mailwright.core.ports.EngineReads` over the socket; safe to use from many threads, one connection each."""

    def __init__(self, path: Path, *, timeout_s: float = 30.0) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._local = threading.local()
        self._open: set[socket.socket] = set()

    def close(self) -> None:
        """Close the connections of all threads; a later call opens a new one."""
        while self._open:
            self._open.pop().close()
        self._local = threading.local()

    def status(self) -> EngineStatus:
        """Where the engine stands."""
        return self._call(EngineStatus, "status")

    def facts(
        self, persons: Sequence[Person], conditions: Sequence[str] = (), *, past: bool = False
    ) -> dict[Person, PersonFacts]:
        """Facts of these people as of the last tick."""
        asked = {"persons": list(persons), "conditions": list(conditions), "past": past}
        return self._call(dict[Person, PersonFacts], "facts", **asked)

    def having(self, trait: str, value: Any) -> list[Person]:
        """People whose indexed trait has this value."""
        return self._call(list[Person], "having", trait=trait, value=value)

    def accounts(self, after: str | None, limit: int) -> list[AccountFacts]:
        """Accounts in order of first appearance."""
        return self._call(list[AccountFacts], "accounts", after=after, limit=limit)

    def account(self, group: str) -> AccountFacts | None:
        """One account."""
        found: list[AccountFacts] = self._call(list[AccountFacts], "account", group=group)
        return found[0] if found else None

    def find(self, kind: str, value: str) -> Person | None:
        """The person an identifier belongs to."""
        found: list[Person] = self._call(list[Person], "find", name=kind, value=value)
        return found[0] if found else None

    def graph(self, person: int) -> PersonGraph:
        """The identifiers and merges of a person."""
        return self._call(PersonGraph, "graph", person=person)

    def members(self, segment: str, after: Person | None, limit: int) -> list[Person]:
        """Members of a segment, ascending."""
        return self._call(list[Person], "members", segment=segment, after=after, limit=limit)

    def preview(self, rule: bytes, against: str | None, limit: int) -> Preview:
        """Who a rule holds for now."""
        return self._call(Preview, "preview", rule=rule, against=against, limit=limit)

    def overlap(self, segment: str, others: Sequence[str]) -> dict[str, int]:
        """Members that a segment has in common with others."""
        return self._call(dict[str, int], "overlap", segment=segment, others=list(others))

    def unwritten(self, whose: Whose, before: Place, limit: int) -> Unwritten:
        """What is folded of a person and not in History yet."""
        return self._call(Unwritten, "unwritten", whose=whose, before=before, limit=limit)

    def first_identifiers(self, persons: Sequence[Person]) -> dict[Person, str]:
        """First identifiers of these people."""
        return self._call(dict[Person, str], "first_identifiers", persons=list(persons))

    def transitions(self, after: Cursor | None, segments: Sequence[str] | None, limit: int) -> TransitionPage:
        """Transitions that the engine keeps in memory."""
        names = None if segments is None else list(segments)
        return self._call(TransitionPage, "transitions", after=after, segments=names, limit=limit)

    def latest_transitions(self, segment: str, limit: int) -> TransitionPage:
        """The newest transitions of a segment that the engine keeps in memory."""
        return self._call(TransitionPage, "latest_transitions", segment=segment, limit=limit)

    def items(self, catalog: str, item_ids: Sequence[str]) -> dict[str, Item]:
        """Catalog items in force now."""
        return self._call(dict[str, Item], "items", catalog=catalog, item_ids=list(item_ids))

    def flush_history(self) -> None:
        """Wait until History holds everything that the engine has folded."""
        self._call(type(None), "flush_history")

    def _call(self, kind: type[T], op: str, **args: Any) -> T:
        frame = msgspec.msgpack.encode(Request(op, args))
        try:
            answer = unpacked(self._exchange(frame), Answer)
        except OSError as error:
            self._forget()
            raise Transient(
                "engine.unreachable",
                f"the engine does not answer at {self._path.name}: {error}",
                "is `mailwright serve` running?",
            ) from error
        if answer.error:
            raise _raised(answer)
        return unpacked(answer.value, kind)

    def _exchange(self, frame: bytes) -> bytes:
        """One answer. A kept connection whose engine was started anew meanwhile is replaced: reads may be repeated."""
        kept = getattr(self._local, "connection", None) is not None
        try:
            write_frame(self._connection(), frame)
            return read_frame(self._connection())
        except ConnectionError:
            self._forget()
            if not kept:
                raise
        write_frame(self._connection(), frame)
        return read_frame(self._connection())

    def _connection(self) -> socket.socket:
        connection: socket.socket | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._open.add(connection)
            self._local.connection = connection
            connection.settimeout(self._timeout_s)
            with _short(self._path) as address:
                connection.connect(address)
        return connection

    def _forget(self) -> None:
        connection: socket.socket | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._open.discard(connection)
            self._local.connection = None


def _answer(value: Any) -> Answer:
    return Answer(value=msgspec.Raw(msgspec.msgpack.encode(value)))


def _raised(answer: Answer) -> MailwrightError:
    """The error that an answer tells of, of its own kind."""
    kind: type[MailwrightError] = getattr(errors, answer.error, errors.Permanent)
    if issubclass(kind, errors.InvalidInput):
        return kind(answer.code, [errors.Issue(path="", message=answer.message)], answer.hint)
    return kind(answer.code, answer.message, answer.hint)


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """An address for `path` that fits the 108 bytes of a socket name: through an open handle of its folder."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
