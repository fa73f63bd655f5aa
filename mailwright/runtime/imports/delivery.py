"""From a spool into the log and Records, giving way to live events; killed at any place, it goes on from there."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from mailwright.core.errors import Corrupt, Transient
from mailwright.core.events import Events, Items
from mailwright.core.instants import MINUTE
from mailwright.core.ports import Clock, EventLog, Records
from mailwright.core.sources import Tally
from mailwright.core.words import counted
from mailwright.ingest.hooks import Resolve
from mailwright.privacy.sealing import Sealer
from mailwright.runtime.collected import violation_event
from mailwright.runtime.giving_way import Turns
from mailwright.runtime.imports.frames import Consents, Frame, HeldBack, Suppressions, Trailer, decode_frame, things_in
from mailwright.runtime.installation import Installation
from mailwright.runtime.quarantine import Quarantine
from mailwright.stores.spool import read_spool, spool_id

_MARK_EVERY = 8  # frames between two marks; those after the last mark are sent again, and counted once

_CURSOR = "importing."

_log = logging.getLogger(__name__)


def cursor_of(there: Installation, path: Path, key: str) -> int:
    """How many frames of a spool were delivered, at least; a cursor that another spool left under the key says 0."""
    place, _, of = (there.records.meta.get(_CURSOR + key) or "").partition(" ")
    return int(place) if of == spool_id(path) else 0


def trailer_of(path: Path) -> Trailer:
    """The end of a spool."""
    (last,) = deque(read_spool(path), maxlen=1)
    trailer = decode_frame(last)
    if not isinstance(trailer, Trailer):
        raise Corrupt("import.spool", f"{path} has no end: delete it and run the import again")
    return trailer


class Stores(Protocol):
    """Where what is imported goes, and what reading it needs: of an installation, or of what the door is given."""

    @property
    def log(self) -> EventLog:
        """The event log."""
        ...

    @property
    def records(self) -> Records:
        """Records."""
        ...

    @property
    def clock(self) -> Clock:
        """The project's."""
        ...

    @property
    def sealer(self) -> Sealer:
        """Seals what is personal."""
        ...

    @property
    def resolve(self) -> Resolve | None:
        """Tells more of an incoming event's context."""
        ...


def put_frame(there: Stores, frame: Frame) -> int | None:
    """Bring a frame to where it belongs, durably; the number of its record, if that is the log.

    Raises:
        Transient: ``quarantine.full``; nothing of the frame is kept then.
    """
    match frame:
        case Events() | Items():
            (number,) = there.log.append([frame], there.clock.now())
            return number
        case Consents():  # an export that is read again every day tells most of it again
            ledger = there.records.consents.ledger
            there.records.consents.record([one for one in frame.rows if one not in ledger(one.address_hash)])
        case Suppressions():
            known = there.records.consents.suppressed(list(frame.reasons))
            new = {address: reason for address, reason in frame.reasons.items() if address not in known}
            there.records.consents.suppress(new, frame.at)
        case HeldBack():
            Quarantine(there.records, there.sealer, there.clock, there.log).hold(frame.items)
    return None


class Delivery:
    """Delivers one spool; the cursor under `key` stands in Records."""

    def __init__(self, there: Installation, path: Path, key: str) -> None:
        self._there = there
        self._path = path
        self._key = key
        self._id = ""
        self._turns = Turns(there.log, there.engine)
        self._full: list[int] = []
        self.without_room: set[bytes] = set()
        """Keys, maybe empty, of rows that were to be held back and found no room, in earlier tries too."""

    def run(
        self, done: Callable[[int], None] = lambda _: None, stopping: Callable[[], bool] = lambda: False
    ) -> Trailer | None:
        """Deliver what is left; `done` is told how many more things are in, those of earlier runs too.

        Returns:
            The spool's end, once all is delivered, without what the quarantine had no room for; None if `stopping`
            said so before.
        """
        self._id = spool_id(self._path)
        start = cursor_of(self._there, self._path, self._key)
        self._full = self._full_before()
        marked, n_refused = start, 0
        for place, data in enumerate(read_spool(self._path)):
            frame = decode_frame(data)
            if isinstance(frame, Trailer):
                self._count(frame)
                self._mark(place)
                return msgspec.structs.replace(frame, n_held=max(0, frame.n_held - n_refused))
            if place >= start:
                if stopping():
                    self._mark(place)
                    return None
                self._put(frame, place)
                if place + 1 - marked >= _MARK_EVERY:
                    self._mark(place + 1)
                    marked = place + 1
            if place in self._full and isinstance(frame, HeldBack):
                self.without_room.update(frame.keys)
                n_refused += len(frame.items)
            done(things_in(frame))
        raise AssertionError("a spool ends with its trailer")

    def forget(self) -> None:
        """The spool is delivered and removed: nothing need be known of it."""
        self._there.records.meta.put(_CURSOR + self._key, "")
        if self._full:
            self._there.records.meta.put(f"{_CURSOR}{self._key}.full", "")

    def _count(self, trailer: Trailer) -> None:
        """Tell what came in: once, also if this is repeated."""
        there = self._there
        once = (f"import.{self._key}", self._id)
        if trailer.tallies or trailer.violations or trailer.not_taken:
            there.records.sources.count(trailer.tallies, trailer.violations, trailer.not_taken, once)
        if trailer.untold:
            now = there.clock.now()
            told = [violation_event(source, n, now, f"violations-{self._id}") for source, n in trailer.untold.items()]
            there.log.append([Events(told)], now)

    def _mark(self, place: int) -> None:
        self._there.records.meta.put(_CURSOR + self._key, f"{place} {self._id}")

    def _put(self, frame: Frame, place: int) -> None:
        self._turns.wait()
        if isinstance(frame, HeldBack):
            self._hold(frame, place)
        elif (number := put_frame(self._there, frame)) is not None:
            self._turns.sent(number)

    def _hold(self, frame: HeldBack, place: int) -> None:
        """Keep what waits to be mended. Without room it is refused: what comes after it must not wait for that."""
        there = self._there
        try:
            put_frame(there, frame)
        except Transient as error:
            if error.code != "quarantine.full":
                raise
            self._full.append(place)
            there.records.meta.put(f"{_CURSOR}{self._key}.full", f"{','.join(map(str, self._full))} {self._id}")
            minutes = Counter((item.source, item.received_at // MINUTE) for item in frame.items)
            tallies = [Tally(source=of, minute=at, refused=n, held=-n) for (of, at), n in minutes.items()]
            there.records.sources.count(tallies, [], [], (f"import.{self._key}.full", f"{self._id}:{place}"))
            self._mark(place + 1)  # so that no frame before the newest counted one is ever counted again
            rows = counted(len(frame.items), "row")
            _log.warning("%s of an import refused, that were to be held for mending: %s", rows, error.message)

    def _full_before(self) -> list[int]:
        """Places of frames of this spool that found no room in an earlier try."""
        places, _, of = (self._there.records.meta.get(f"{_CURSOR}{self._key}.full") or "").partition(" ")
        return [int(place) for place in places.split(",")] if of == self._id else []
