"""Who is who: a graph of a million identifiers, and one merge taken back beside a million events in History.

The graph's memory is that of a process of its own, and so is that of the plain dictionaries beside it. Rates are of the
CPU time of one core, so that a shared machine says the same.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mailwright.core.events import (
    Body,
    Defined,
    Event,
    Events,
    Identifier,
    LogRecord,
    Offset,
    PeopleMerged,
    Person,
    PersonSplit,
    Tick,
)
from mailwright.core.instants import SECOND, Instant
from mailwright.profiles.identity import IdentityGraph
from mailwright.runtime.engine.history import HistoryWriter
from mailwright.runtime.engine.state import EngineState, Folded
from mailwright.stores.history_delta import DeltaHistory

PEOPLE = 200_000
PER_PERSON = 5
"""Identifiers of a person: a user_id, the keyed hash of an address, and three browsers."""

EVENTS, PER_RECORD, THEIRS = 1_000_000, 500, 300
IDLE = 500
"""Ticks of each record: an evaluation, and those that found nothing to do."""
_CHUNK = 2_000
START = Instant(1_790_000_000 * SECOND)
FILES = {
    "mailwright.toml": '[project]\nname = "Bench"\ntime_zone = "Europe/Berlin"\n',
    "attributes.yaml": (
        "orders: {title: O, value: count of 'Order Completed'}\n"
        "spend: {title: S, value: sum of 'Order Completed'.total within 30 days}\n"
    ),
    "segments.yaml": (
        "customers: {title: C, rule: orders >= 1}\n"
        "recent: {title: R, rule: did 'Order Completed' within 3 days}\n"
        "big: {title: B, rule: spend > 100 and in segment recent}\n"
    ),
}


def rows() -> list[dict[str, object]]:
    """What was measured, on what, the figure, its unit, and what stands beside it."""
    return [*graph(), *unmerge()]


def graph(people: int = PEOPLE) -> list[dict[str, object]]:
    """Memory and speed of the graph, and of its checkpoint."""
    ours, plain = _apart("hold", people), _apart("hold_plain", people)
    on = f"{ours['identifiers']:,} identifiers of {people:,} people, {ours['merges']:,} merges on the way"
    python = f"two Python dictionaries, no reasons and no history: {plain['mb']:.0f} MB"
    dumped = f"stand-still {ours['freeze_s'] * 1e3:.0f} ms; read back in {ours['load_s']:.2f} s"
    return [
        _row("memory", on, ours["mb"], "MB", python),
        _row(
            "resolves while the graph grows",
            on,
            ours["new"],
            "resolves/s of CPU",
            f"dictionaries {plain['new']:,.0f}/s",
        ),
        _row(
            "resolves that teach nothing",
            on,
            ours["known"],
            "resolves/s of CPU",
            f"dictionaries {plain['known']:,.0f}/s",
        ),
        _row("checkpoint, time", on, ours["dump_s"], "s of CPU", dumped),
        _row("checkpoint, size", on, ours["bytes"] / 1e6, "MB", f"identifiers alone {ours['raw'] / 1e6:.0f} MB"),
    ]


def _row(what: str, on: str, figure: float, unit: str, beside: str) -> dict[str, object]:
    return {"what": what, "on": on, "figure": round(figure) if figure > 100 else round(figure, 2), "unit": unit,
            "beside": beside}  # fmt: skip


# --- the graph -------------------------------------------------------------------------------------------------------


def _named(person: int) -> list[list[Identifier]]:
    """Identifiers of a person's five events: three browsers unknown, then recognised one after the other."""
    user = Identifier("user_id", f"household-{person}")
    draw = random.Random(person)
    address = Identifier("email", f"{draw.getrandbits(128):032x}")
    browsers = [Identifier("anonymous_id", _uuid(draw)) for _ in range(PER_PERSON - 2)]
    return [[browsers[0]], [browsers[1]], [user, browsers[0], address], [user, browsers[1]], [user, browsers[2]]]


def _uuid(draw: random.Random) -> str:
    digits = f"{draw.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _told(people: int, act: Callable[[Event, Offset], object], only: slice = slice(None)) -> tuple[int, float]:
    """Events told in chunks: how many, and the processor seconds that `act` took."""
    n, seconds, step = 0, 0.0, _CHUNK
    for first in range(0, people, step):
        named = [_named(person) for person in range(first, min(first + step, people))]
        # Round by round: between two events of a person lie those of others.
        events = [_event(f"{place}", each, START) for place in range(5)[only] for each in (one[place] for one in named)]
        before = time.process_time()
        for event in events:
            n += 1
            act(event, Offset(n))
        seconds += time.process_time() - before
    return n, seconds


def _event(message_id: str, identifiers: list[Identifier], at: int, total: float = 1.5) -> Event:
    stamp = Instant(at)
    return Event(
        message_id=message_id,
        source="shop",
        type="track",
        name="Order Completed",
        stamp_at=stamp,
        received_at=stamp,
        known_at=stamp,
        identifiers=identifiers,
        properties={"total": total},
    )


def _nothing(event: Event, offset: Offset) -> None:
    """What takes no memory."""


def hold(people: int) -> None:
    """Fill a graph, freeze it and read it back; print the figures of this process as JSON."""
    _told(_CHUNK, _nothing)  # what a chunk of events takes is not the graph's
    graph, merges, base = IdentityGraph(), 0, _mb()

    def resolve(event: Event, offset: Offset) -> None:
        nonlocal merges
        if graph.known(event) is None:
            merges += len(graph.resolve(event, offset, START).merges)
            if not offset % PER_RECORD:  # as the engine takes them for History after each record
                graph.belonging_changes()
                graph.new_merges()

    n, seconds = _told(people, resolve)
    graph.belonging_changes()
    graph.new_merges()
    mb = _mb() - base
    n_known, known_s = _told(people, lambda event, _: graph.known(event), slice(2, 5))
    before = time.process_time()
    encode = graph.freeze()
    frozen = time.process_time()
    dumped = encode()
    encoded = time.process_time()
    again = IdentityGraph.load(dumped)
    load_s = time.process_time() - encoded
    assert again.n_living == graph.n_living == people
    names = [each for person in graph.living() for each in graph.identifiers(person)]
    told = {"mb": mb, "new": n / seconds, "known": n_known / known_s, "merges": merges, "identifiers": len(names)}
    told |= {"freeze_s": frozen - before, "dump_s": encoded - frozen, "load_s": load_s, "bytes": len(dumped)}
    print(json.dumps(told | {"raw": sum(len(each.kind) + 1 + len(each.value) for each in names)}))


def hold_plain(people: int) -> None:
    """The same by a dictionary of owners and one of what each owns; print the figures of this process as JSON."""
    owner: dict[str, int] = {}
    owned: dict[int, list[str]] = {}
    _told(_CHUNK, _nothing)
    base = _mb()

    def resolve(event: Event, offset: Offset) -> None:
        keys = [f"{each.kind}:{each.value}" for each in event.identifiers]
        people = dict.fromkeys(owner[key] for key in keys if key in owner)
        into, *gone = people or [int(offset)]
        mine = owned.setdefault(into, [])
        for other in gone:
            for key in owned.pop(other):
                owner[key] = into
                mine.append(key)
        for key in keys:
            if key not in owner:
                owner[key] = into
                mine.append(key)

    def known(event: Event, _: Offset) -> bool:
        return len({owner[f"{each.kind}:{each.value}"] for each in event.identifiers}) == 1

    n, seconds = _told(people, resolve)
    mb = _mb() - base
    n_known, known_s = _told(people, known, slice(2, 5))
    print(json.dumps({"mb": mb, "new": n / seconds, "known": n_known / known_s}))


def _apart(function: str, people: int) -> dict[str, Any]:
    command = [sys.executable, "-c", f"from bench.identity import {function}; {function}({people})"]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def _mb() -> float:
    """Megabytes of this process now."""
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


# --- a merge taken back ----------------------------------------------------------------------------------------------


def _no_blob(name: str) -> bytes:
    raise AssertionError(f"nothing is installed from {name}")


class _Told:
    """A state and its History, record after record."""

    def __init__(self, history: DeltaHistory) -> None:
        self.writer = HistoryWriter(history)
        self.state = EngineState(_no_blob, self.writer.past_of)
        self.at = START

    def tell(self, *bodies: Body) -> Folded:
        """Fold records, each 100 ms after the one before."""
        folded = Folded()
        for body in bodies:
            self.state.apply(LogRecord(self.state.number + 1, self.at, body), folded)
        for offset, at in list(folded.ticks):  # and many that found nothing to do, as the years bring them
            folded.ticks += [(Offset(offset + n), Instant(at + n)) for n in range(1, IDLE)]
        self.at = Instant(self.at + SECOND // 10)
        self.writer.add(folded, self.state.upto)
        return folded

    def seen(self, people: Sequence[Person]) -> list[object]:
        """What is known of people."""
        state = self.state
        values = [state.fold.attribute(name, people) for name in ("orders", "spend")]
        known = [(state.profiles.view(person), state.identity.identifiers(person)) for person in people]
        within = [[bool(state.fold.holding(rule)[person]) for person in people]
                  for rule in state.project.rules.segments.values()]  # fmt: skip
        return [*values, known, within]


def unmerge(events: int = EVENTS) -> list[dict[str, object]]:
    """A merge of two people with a few hundred events taken back, and what is known of them the same as before."""
    with tempfile.TemporaryDirectory(prefix="bench-identity-") as folder:
        told = _Told(DeltaHistory(Path(folder) / "history"))
        told.tell(Defined(1, FILES))
        before = time.process_time()
        every = events // (2 * THEIRS)  # so often one of the two does something
        for first in range(0, events, PER_RECORD):
            batch = []
            for n in range(first, first + PER_RECORD):
                user = n // every % 2 if n % every == 0 else 2 + n * 7919 % PEOPLE
                batch.append(_event(f"m{n}", [Identifier("user_id", f"household-{user}")], told.at, n % 90 + 0.5))
            told.tell(Events(batch), Tick())
        told.writer.flush()
        all_s = time.process_time() - before
        numbers = [told.state.identity.number_of(Identifier("user_id", f"household-{user}")) for user in (0, 1)]
        people = [each for each in numbers if each is not None]
        known = told.seen(people)
        merged = told.tell(PeopleMerged(one=people[0], other=people[1], reason="bench", by="bench")).merges[0]
        told.writer.flush()
        cpu, wall = time.process_time(), time.perf_counter()
        row = told.tell(PersonSplit(person=people[0], merge=merged.number, reason="bench", by="bench")).merges[0]
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        assert row.kind == "split", row
        assert told.seen(people) == known, "taken back, they are not what they were"
        assert told.state.profiles.view(people[0]).n_events >= THEIRS - 1
        told.writer.stop()
    on = f"{events:,} events, {events // PER_RECORD * IDLE:,} ticks in History, {THEIRS} events of each of the two"
    beside = f"{cpu:.2f} s of CPU; all events folded again and written: {all_s:.1f} s of CPU; checked to be exact"
    return [_row("a merge taken back, stand-still of the engine", on, wall, "s", beside)]


if __name__ == "__main__":
    for row in rows():
        print(f"{row['what']:45} {row['figure']:>12,} {row['unit']:10} on {row['on']} ({row['beside']})")
