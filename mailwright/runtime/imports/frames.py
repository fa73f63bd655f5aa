"""What lies in a spool: pieces of the log, consents, suppressions, and at the end what is to be remembered."""

from __future__ import annotations

from typing import Any

import msgspec

from mailwright.core.errors import Corrupt
from mailwright.core.events import Body, Events, Items, decode_body, encode_body
from mailwright.core.instants import Instant
from mailwright.core.ports import Consent
from mailwright.core.sources import NotTaken, Quarantined, Tally, ViolationCount


class Consents(msgspec.Struct, frozen=True):
    """Ledger rows."""

    rows: list[Consent]


class Suppressions(msgspec.Struct, frozen=True):
    """Address hash -> reason, for addresses that get no mail from `at` on."""

    reasons: dict[str, str]
    at: Instant


class HeldBack(msgspec.Struct, frozen=True):
    """Events that the tracking plan holds back, sealed. `keys` are those of their rows, in the same order."""

    items: list[Quarantined]
    keys: list[bytes] = []


class Trailer(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a spool.

    Attributes:
        n_rows: Rows that were read; `n_things` lie in the spool, in `n_frames` frames.
        n_faults: Faults of rows that were left out.
        made: What the rows became -> how many.
        state: What the next run of a declared import must know, JSON; empty without one.
        again: Like `state`, for a next run that reads the same once more: the quarantine had no room for some of it.
        keep: Name of the file beside the spool that becomes the import's keys; empty without one.
        n_held: Events that the tracking plan holds back.
        tallies: What is to be counted once all is in, likewise `violations` and `not_taken`.
        untold: Source -> violations of the tracking plan that an event in the log shall tell.
    """

    n_rows: int
    n_things: int
    n_frames: int
    n_faults: int = 0
    made: dict[str, int] = {}
    state: str = ""
    again: str = ""
    keep: str = ""
    n_held: int = 0
    tallies: list[Tally] = []
    violations: list[ViolationCount] = []
    not_taken: list[NotTaken] = []
    untold: dict[str, dict[str, int]] = {}


Frame = Events | Items | Consents | Suppressions | HeldBack | Trailer

_TAGS: dict[type[Any], bytes] = {
    Events: b"B",
    Items: b"B",
    Consents: b"C",
    Suppressions: b"S",
    HeldBack: b"H",
    Trailer: b"T",
}
_consents = msgspec.msgpack.Decoder(Consents)
_suppressions = msgspec.msgpack.Decoder(Suppressions)
_held = msgspec.msgpack.Decoder(HeldBack)
_trailer = msgspec.msgpack.Decoder(Trailer)


def encode_frame(frame: Frame) -> bytes:
    """Bytes of a frame: a letter for its kind, then MessagePack."""
    data = encode_body(frame) if isinstance(frame, Events | Items) else msgspec.msgpack.encode(frame)
    return _TAGS[type(frame)] + data


def decode_frame(data: bytes) -> Frame:
    """The frame that `encode_frame` wrote.

    Raises:
        Corrupt: If the bytes are none.
    """
    tag, rest = data[:1], data[1:]
    try:
        match tag:
            case b"B":
                body: Body = decode_body(rest)
                if isinstance(body, Events | Items):
                    return body
            case b"C":
                return _consents.decode(rest)
            case b"S":
                return _suppressions.decode(rest)
            case b"H":
                return _held.decode(rest)
            case b"T":
                return _trailer.decode(rest)
    except msgspec.MsgspecError as error:
        raise Corrupt("import.spool", f"a piece of an import's spool cannot be decoded: {error}") from None
    raise Corrupt("import.spool", f"a piece of an import's spool is of no known kind: {tag!r}")


def things_in(frame: Frame) -> int:
    """How many events, taken or held back, items, consents or suppressions a frame holds."""
    match frame:
        case Events():
            return len(frame.events)
        case Items():
            return len(frame.items)
        case Consents():
            return len(frame.rows)
        case Suppressions():
            return len(frame.reasons)
        case HeldBack():
            return len(frame.items)
    return 0
