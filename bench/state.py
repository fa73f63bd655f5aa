"""What the engine keeps in memory beside the fold: which events it has seen, and people's traits.

Each figure is that of a process of its own; what a Python set or dictionary would take is measured beside it. Rates are
of the CPU time of one core, so that a shared machine says the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from mailwright.core.events import Event, Identifier, Offset, Person
from mailwright.core.instants import SECOND, Instant
from mailwright.ingest.dedupe import DedupeIndex
from mailwright.profiles.profile import ProfileStore

IDS, FEW_IDS, BATCH = 10_000_000, 1_000_000, 100
PEOPLE, FEW_PEOPLE, TRAITS, STEP = 1_000_000, 200_000, 5, 10_000
MOST_GB = 1.0
START = Instant(1_790_000_000 * SECOND)


def rows() -> list[dict[str, object]]:
    """What was measured, on what, the figure, its unit, and what stands beside it."""
    return [*dedupe(), *profiles()]


def _row(what: str, on: str, figure: float, unit: str, beside: str, digits: int = 0) -> dict[str, object]:
    return {"what": what, "on": on, "figure": round(figure, digits or None), "unit": unit, "beside": beside}


def _apart(function: str, n: int) -> dict[str, Any]:
    command = [sys.executable, "-c", f"from bench.state import {function}; {function}({n})"]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def _memory(name: str = "VmRSS") -> int:
    """Bytes of this process, ``VmRSS`` now or ``VmHWM`` at most."""
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith(name))
    return int(line.split()[1]) * 1024


# --- events seen before ----------------------------------------------------------------------------------------------


def dedupe(n: int = IDS, few: int = FEW_IDS) -> list[dict[str, object]]:
    """The dedupe index: memory, new ids, known ids, its part of a checkpoint."""
    ours, plain = _apart("hold_ids", n), _apart("hold_ids_plain", few)
    on = f"{n:,} message ids of 36 characters, batches of {BATCH}"
    a_set = f"a Python set of (source, id): {plain['per_id']:.0f} bytes an id, at {few:,}"
    peak = f"limit {MOST_GB:g} GB; {ours['now'] / 1e9:.2f} GB at its end, {ours['now'] / n:.0f} bytes an id; {a_set}"
    dumped = f"{ours['bytes'] / 1e6:.0f} MB, {ours['dumped_peak'] / 1e9:.2f} GB at most while it is made"
    return [
        _row("dedupe index, memory at most while it grows", on, ours["peak"] / 1e9, "GB", peak, 2),
        _row("dedupe index, new ids", on, ours["new"], "ids/s of CPU", f"the set {plain['new']:,.0f}/s"),
        _row("dedupe index, ids seen before", on, ours["known"], "ids/s of CPU", f"the set {plain['known']:,.0f}/s"),
        _row("dedupe index, checkpoint", on, ours["dump_s"], "s of CPU", dumped, 2),
    ]


def _ids(first: int, n: int) -> list[list[tuple[str, str]]]:
    """Batches of (source, message id)."""
    places = range(first, first + n, BATCH)
    return [[("web", f"4f0c1a52-8d1b-4c55-9be2-{place:012d}") for place in range(at, at + BATCH)] for at in places]


def _asked(index: DedupeIndex | set[tuple[str, str]], first: int, n: int, *, new: bool) -> float:
    """Processor seconds in which ids were asked for."""
    batches = _ids(first, n)
    before = time.process_time()
    if isinstance(index, DedupeIndex):
        found = sum(sum(index.fresh(batch, START)) for batch in batches)
    else:
        found = len(index)
        for batch in batches:
            for pair in batch:
                if pair not in index:
                    index.add(pair)
        found = len(index) - found
    seconds = time.process_time() - before
    assert found == (n if new else 0)
    return seconds


def hold_ids(n: int) -> None:
    """Fill an index, ask for some again, make its bytes; print the figures of this process as JSON."""
    index, step = DedupeIndex(), 100_000
    _ids(0, step)
    base = _memory()
    seconds = sum(_asked(index, first, step, new=True) for first in range(0, n, step))
    told: dict[str, float] = {"peak": _memory("VmHWM") - base, "now": _memory() - base, "new": n / seconds}
    told["known"] = step / _asked(index, n // 2, step, new=False)
    before = time.process_time()
    told["bytes"] = len(index.dump())
    told["dump_s"] = time.process_time() - before
    print(json.dumps(told | {"dumped_peak": _memory("VmHWM") - base}))


def hold_ids_plain(n: int) -> None:
    """The same by a set; print the figures of this process as JSON."""
    index: set[tuple[str, str]] = set()
    step = 100_000
    _ids(0, step)
    base = _memory()
    seconds = sum(_asked(index, first, step, new=True) for first in range(0, n, step))
    known = step / _asked(index, n // 2, step, new=False)
    print(json.dumps({"per_id": (_memory() - base) / n, "new": n / seconds, "known": known}))


# --- traits ----------------------------------------------------------------------------------------------------------


def profiles(people: int = PEOPLE, few: int = FEW_PEOPLE) -> list[dict[str, object]]:
    """The profile store: bytes a person with traits in the clear, and with two that are sealed."""
    found = []
    for function, what in (("hold_people", "in the clear"), ("hold_sealed", "two of them sealed")):
        ours, plain = _apart(function, people), _apart(f"{function}_plain", few)
        on = f"{people:,} people, each with {TRAITS} traits, {what}"
        beside = f"plain dictionaries, without time and source: {plain['each']:,.0f} bytes; {ours['gb']:.2f} GB in all"
        found.append(_row("profile store, memory", on, ours["each"], "bytes a person", beside))
        dumped = f"{ours['bytes'] / people:,.0f} bytes a person; {ours['rate']:,.0f} identifies/s of CPU"
        found.append(_row("profile store, checkpoint", on, ours["dump_s"], "s of CPU", dumped, 2))
    return found


def _traits(person: int, *, sealed: bool) -> dict[str, Any]:
    """Five traits; as the engine reads them from the log."""
    kept: dict[str, Any] = {
        "plan": ("free", "gold", "silver")[person % 3],
        "city": f"City {person % 5_000}",
        "age": 18 + person % 70,
    }
    if sealed:
        box = f"{person * 0x9E3779B97F4A7C15 % (1 << 128):032x}"
        kept |= {name: {"sealed": (box * 4)[:88], "hash": box} for name in ("first_name", "email")}
    else:
        kept |= {"newsletter": person % 2 == 0, "created_at": f"2026-03-{1 + person % 28:02d}T10:00:00.000Z"}
    assert len(kept) == TRAITS
    return kept


def _identifies(people: int, *, sealed: bool) -> Iterator[list[tuple[Person, Event, Offset]]]:
    decode, encode = msgspec.msgpack.Decoder().decode, msgspec.msgpack.encode
    for first in range(0, people, STEP):
        yield [
            (Person(n), _identify(n, decode(encode(_traits(n, sealed=sealed)))), Offset(n))
            for n in range(first, first + STEP)
        ]


def _identify(number: int, traits: dict[str, Any]) -> Event:
    at = Instant(START + number)
    return Event(
        message_id=str(number),
        source="web",
        type="identify",
        stamp_at=at,
        received_at=at,
        known_at=at,
        identifiers=[Identifier("user_id", str(number))],
        traits=traits,
    )


def hold_people(people: int, *, sealed: bool = False) -> None:
    """Fill a store and make its bytes; print the figures of this process as JSON."""
    store = ProfileStore()
    next(_identifies(STEP, sealed=sealed))
    base, seconds = _memory(), 0.0
    for told in _identifies(people, sealed=sealed):
        before = time.process_time()
        store.apply_all(told)
        seconds += time.process_time() - before
    del told
    size = _memory() - base
    before = time.process_time()
    n_bytes = len(store.dump())
    dump_s = time.process_time() - before
    assert len(store.view(Person(people - 1)).traits) == TRAITS
    print(json.dumps({"each": size / people, "gb": size / 1e9, "rate": people / seconds, "bytes": n_bytes,
                      "dump_s": dump_s}))  # fmt: skip


def hold_sealed(people: int) -> None:
    """`hold_people` with two traits sealed."""
    hold_people(people, sealed=True)


def hold_people_plain(people: int, *, sealed: bool = False) -> None:
    """The traits alone, a dictionary a person; print the figures of this process as JSON."""
    next(_identifies(STEP, sealed=sealed))
    base, kept = _memory(), {}
    for told in _identifies(people, sealed=sealed):
        kept |= {person: event.traits for person, event, _ in told}
    del told
    print(json.dumps({"each": (_memory() - base) / len(kept)}))


def hold_sealed_plain(people: int) -> None:
    """`hold_people_plain` with two traits sealed."""
    hold_people_plain(people, sealed=True)


if __name__ == "__main__":
    for row in rows():
        print(f"{row['what']:45} {row['figure']:>12,} {row['unit']:10} on {row['on']} ({row['beside']})")
