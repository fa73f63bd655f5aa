"""The columnar fold through its public door: events per second, ticks, previews, memory, and how each cost grows.

Times are CPU time of one core, so that a shared machine says the same. Every rate is of a run whose windows were
recounted by DuckDB at its end.
"""

from __future__ import annotations

import gc
import json
import random
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
from numpy.typing import NDArray

from mailwright.core.events import Event, Offset, Person
from mailwright.core.instants import DAY, HOUR, SECOND, Instant
from mailwright.rules.catalog import Catalog
from mailwright.rules.fold import Arrival, Fold, Rules
from mailwright.rules.parse import parse

PEOPLE, EVENTS, BATCH = 500_000, 500_000, 10_000
NAMES = ("Order Completed", "Product Viewed", "Product Added", "Email Opened")
COUNTED = (1, 2, 3, 5, 7, 10, 14, 21, 30, 60)
SUMMED = (1, 3, 7, 14, 30)
START = Instant(1_700_000_000_000_000)
SPAN = 100 * DAY
LATE = 5 * DAY
MERGED = 50_000  # events for the peers, which are slower


class Columns:
    """Events as columns: who, what (a place in NAMES), when, when known, and how much in cents."""

    def __init__(self, n: int, people: int, late_share: float) -> None:
        draw = np.random.default_rng(1)
        self.person = draw.integers(0, people, n)
        self.name = draw.integers(0, len(NAMES), n)
        self.known = START + np.arange(n) * SPAN // n
        late = draw.random(n) < late_share
        self.stamp = self.known - np.where(late, draw.integers(0, LATE, n), 0)
        self.cents = draw.integers(0, 10_000, n)

    def arrivals(self) -> list[Arrival]:
        """The events as the engine hands them to the fold."""
        columns = (self.person, self.name, self.stamp, self.known, self.cents)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [Arrival(Offset(n), Person(row[0]), _event(n, *row[1:])) for n, row in enumerate(rows)]


def _event(n: int, name: int, stamp: int, known: int, cents: int) -> Event:
    return Event(
        message_id=str(n),
        source="bench",
        type="track",
        name=NAMES[name],
        stamp_at=Instant(stamp),
        received_at=Instant(known),
        known_at=Instant(known),
        identifiers=[],
        properties={"total": cents / 100},
    )


def leaves(copies: int = 1) -> dict[str, tuple[str, int, str]]:
    """Name -> (function, days, event name): ten counts and five sums of each event name, or `copies` times so many."""
    counts = {f"c{n}_{days}": ("count", days, name) for n, name in enumerate(NAMES) for days in _times(COUNTED, copies)}
    sums = {f"s{n}_{days}": ("sum", days, name) for n, name in enumerate(NAMES) for days in _times(SUMMED, copies)}
    return counts | sums


def _times(days: tuple[int, ...], copies: int) -> list[int]:
    return [day + 90 * copy for copy in range(copies) for day in days]


def rules(kept: Mapping[str, tuple[str, int, str]], *, as_segments: bool = False) -> Rules:
    """The leaves as attributes, or each as a segment of those who are past a limit."""
    texts = {
        key: f"{function} of '{name}'{'.total' if function == 'sum' else ''} within {days} days"
        for key, (function, days, name) in kept.items()
    }
    if as_segments:
        limits = {"count": 3, "sum": 200}
        segments = {key: parse(f"{text} >= {limits[kept[key][0]]}") for key, text in texts.items()}
        return Rules(attributes={}, segments=segments, conditions={}, zone=ZoneInfo("UTC"))
    attributes = {key: parse(text) for key, text in texts.items()}
    return Rules(attributes=attributes, segments={}, conditions={}, zone=ZoneInfo("UTC"))


def identifiers(people: int) -> list[str]:
    """First identifiers."""
    return [f"user_id:{n}" for n in range(people)]


def folded(kept: Rules, made: list[Arrival], people: int, batch: int = BATCH) -> tuple[Fold, float]:
    """A fold of all events in batches with a tick after each, and the seconds it took."""
    fold, names = Fold(kept, Catalog()), identifiers(people)
    fold.tick(START, names)
    gc.collect()
    gc.freeze()  # the events were made beforehand; an engine does not hold them
    started = time.process_time()
    for place in range(0, len(made), batch):
        part = made[place : place + batch]
        fold.ingest(part)
        fold.tick(part[-1].event.known_at, names)
    seconds = time.process_time() - started
    gc.unfreeze()
    return fold, seconds


def check(fold: Fold, kept: Mapping[str, tuple[str, int, str]], columns: Columns, people: int) -> None:
    """Every leaf of everybody, beside DuckDB's recount of the events; raises if one differs."""
    at = int(columns.known[-1])
    database = events_table(columns)
    everybody = [Person(n) for n in range(0, people, 7)]
    for key, (function, days, name) in kept.items():
        what = "count(*)" if function == "count" else "sum(cents)"
        query = f"SELECT person, {what} FROM events WHERE name = ? AND stamp > ? GROUP BY 1"
        expected = dict(database.execute(query, [NAMES.index(name), at - days * DAY]).fetchall())
        scale = 1 if function == "count" else 100
        found = fold.attribute(key, everybody)
        for person, value in zip(everybody, found, strict=True):
            if round(value * scale) != int(expected.get(person, 0)):
                raise AssertionError(f"{key} of person {person} is {value}, not {expected.get(person, 0)} / {scale}")


def events_table(columns: Columns) -> duckdb.DuckDBPyConnection:
    """The events in a DuckDB table, on one core."""
    database = duckdb.connect(config={"threads": 1})
    data = {name: getattr(columns, name) for name in ("person", "name", "stamp", "known", "cents")}
    database.register("made", data)
    database.execute("CREATE TABLE events AS SELECT * FROM made")
    return database


# --- peers -----------------------------------------------------------------------------------------------------------


def merged(columns: Columns) -> float:
    """Seconds in which DuckDB keeps the same sixty columns by MERGE, batch by batch: what came, less what left."""
    database = events_table(columns)
    kept = leaves()
    fields = ", ".join(f"{key} BIGINT DEFAULT 0" for key in kept)
    database.execute(f"CREATE TABLE state (person BIGINT PRIMARY KEY, {fields})")
    database.execute(f"INSERT INTO state (person) SELECT * FROM range({PEOPLE})")
    sums = [
        f"sum(CASE WHEN name = {NAMES.index(name)} THEN {'cents' if function == 'sum' else '1'} *"
        f" ((known > $before AND known <= $at AND stamp > $at - {days * DAY})::INT"
        f" - (known <= $before AND stamp > $before - {days * DAY} AND stamp <= $at - {days * DAY})::INT)"
        f" ELSE 0 END) AS {key}"
        for key, (function, days, name) in kept.items()
    ]
    windows = " OR ".join(
        f"(stamp > $before - {days * DAY} AND stamp <= $at - {days * DAY})" for days in sorted({*COUNTED, *SUMMED})
    )
    updates = ", ".join(f"{key} = state.{key} + news.{key}" for key in kept)
    merge = f"""
        MERGE INTO state USING (
            SELECT person, {", ".join(sums)} FROM events
            WHERE (known > $before AND known <= $at) OR (known <= $before AND ({windows})) GROUP BY person
        ) AS news ON state.person = news.person WHEN MATCHED THEN UPDATE SET {updates}"""
    started, before = time.process_time(), int(START) - 1
    for place in range(BATCH - 1, len(columns.known), BATCH):
        at = int(columns.known[place])
        database.execute(merge, {"before": before, "at": at})
        before = at
    return time.process_time() - started


def plain(columns: Columns) -> float:
    """Seconds for the same figures in Python dictionaries, a queue per window, without late events put in order."""
    windows: dict[int, list[tuple[int, int, dict[int, int], deque[tuple[int, int, int]]]]] = {}
    for function, days, name in leaves().values():
        summed = int(function == "sum")
        windows.setdefault(NAMES.index(name), []).append((days * DAY, summed, {}, deque()))
    names = ("person", "name", "stamp", "known", "cents")
    rows = list(zip(*(getattr(columns, name).tolist() for name in names), strict=True))
    gc.collect()
    gc.disable()  # as no event of the fold is looked at by the collector either
    started = time.process_time()
    for person, name, stamp, known, cents in rows:
        for micros, summed, state, queue in windows[name]:
            value = cents if summed else 1
            state[person] = state.get(person, 0) + value
            queue.append((stamp, person, value))
            while queue and queue[0][0] <= known - micros:
                _, gone, less = queue.popleft()
                state[gone] -= less
    seconds = time.process_time() - started
    gc.enable()
    return seconds


# --- rows ------------------------------------------------------------------------------------------------------------


def rates() -> Iterator[dict[str, object]]:
    """Events per second with 0, 2 and 30 % late events, leaves alone and with sixty segments."""
    peers = Columns(EVENTS, PEOPLE, 0)
    few = Columns(MERGED, PEOPLE, 0)
    by_merge, by_dict = MERGED / merged(few), EVENTS / plain(peers)
    beside = f"{by_merge / 1000:,.1f}k/s a DuckDB MERGE of the same columns, {by_dict / 1000:,.0f}k/s Python dicts"
    on = f"{PEOPLE:,} people, {len(leaves())} windowed leaves, {EVENTS:,} events, batches of {BATCH:,}"
    for late in (0.0, 0.02, 0.3):
        columns = Columns(EVENTS, PEOPLE, late)
        made = columns.arrivals()
        fold, seconds = folded(rules(leaves()), made, PEOPLE)
        check(fold, leaves(), columns, PEOPLE)
        yield _row(f"fold, {late:.0%} late, checked by DuckDB", on, EVENTS / seconds / 1000, "k events/s", beside)
        _, seconds = folded(rules(leaves(), as_segments=True), made, PEOPLE)
        yield _row(f"the same and 60 segments, {late:.0%} late", on, EVENTS / seconds / 1000, "k events/s", "-")


def ticks() -> Iterator[dict[str, object]]:
    """Ticks that find nothing new, and the next deadline."""
    made = Columns(EVENTS, PEOPLE, 0.02).arrivals()
    fold, _ = folded(rules(leaves(), as_segments=True), made, PEOPLE)
    names, at = identifiers(PEOPLE), made[-1].event.known_at
    on = f"{PEOPLE:,} people, 60 windowed leaves and segments, {EVENTS:,} events"

    def ticking(step: int) -> Callable[[int], object]:
        begin = at + (10 * HOUR if step < HOUR else 0)
        return lambda n: fold.tick(Instant(begin + (n + 1) * step), names)

    yield _row("hourly tick, no event", on, _each(ticking(HOUR), 10) * 1e3, "ms", "-", 1)
    yield _row("tick of 100 ms, no event", on, _each(ticking(SECOND // 10), 100) * 1e3, "ms", "-", 2)
    yield _row("next deadline", on, _each(lambda _: fold.next_due(), 1000) * 1e6, "us", "-")
    yield _row("sizes of all segments", on, _each(lambda _: fold.sizes(), 1000) * 1e6, "us", "-")


def preview() -> dict[str, object]:
    """A rule on leaves at hand for a million people, beside DuckDB over the events."""
    people, events = 1_000_000, 1_000_000
    columns = Columns(events, people, 0.02)
    fold, _ = folded(rules(leaves()), columns.arrivals(), people, 100_000)
    rule = parse(
        "count of 'Product Viewed' within 14 days >= 1 and sum of 'Order Completed'.total within 30 days > 50"
        " and not did 'Email Opened' within 7 days"
    )
    seconds = _each(lambda _: fold.holding(rule), 5)
    at = int(columns.known[-1])
    query = f"""
        SELECT count(*) FROM (
            SELECT person FROM events GROUP BY person
            HAVING count(*) FILTER (name = 1 AND stamp > {at - 14 * DAY}) >= 1
                AND sum(cents) FILTER (name = 0 AND stamp > {at - 30 * DAY}) > 5000
                AND count(*) FILTER (name = 3 AND stamp > {at - 7 * DAY}) = 0)"""
    database = events_table(columns)
    counted: list[int] = []
    by_sql = _each(lambda _: counted.append(database.execute(query).fetchall()[0][0]), 3)
    if counted[0] != int(fold.holding(rule).sum()):
        raise AssertionError("DuckDB finds other people than the preview")
    on = f"{people:,} people, {events:,} events, three leaves of 60"
    return _row("preview of a rule", on, seconds * 1e3, "ms", f"{by_sql * 1e3:,.0f} ms DuckDB over the events", 1)


def growth() -> Iterator[dict[str, object]]:
    """What people, leaves and events times ten cost an event."""
    base = dict(people=50_000, events=100_000, copies=1)
    for what in ({}, {"people": 500_000}, {"copies": 10}, {"events": 1_000_000}):
        size = base | what
        columns = Columns(size["events"], size["people"], 0.02)
        _, seconds = folded(rules(leaves(size["copies"])), columns.arrivals(), size["people"])
        on = f"{size['people']:,} people, {60 * size['copies']} leaves, {size['events']:,} events, 2 % late"
        name = next(iter(what), None)
        shown = {"people": "people x10", "copies": "leaves x10", "events": "events x10"}.get(name or "", "base")
        yield _row(f"cost of an event, {shown}", on, seconds / size["events"] * 1e6, "us", "-", 2)


def memory() -> dict[str, object]:
    """Peak memory of a process of its own with 20 M events inside the windows and a checkpoint's copy and bytes."""
    command = [sys.executable, "-c", "from bench.fold import hold; hold()"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    on = f"1,000,000 people, 60 windowed leaves, {told['rows']:,} events inside the windows"
    beside = f"{told['fold']:.2f} GB without the checkpoint, whose copy takes {told['freeze']:.2f} s"
    return _row("memory, checkpoint included", on, told["peak"], "GB", beside, 2)


def hold(people: int = 1_000_000, events: int = 20_000_000) -> None:
    """Fill a fold, freeze it and make all its bytes; print the memory of this process as JSON."""
    fold, names = Fold(rules(leaves()), Catalog()), identifiers(people)
    fold.tick(START, names)
    draw, step = random.Random(1), 100_000
    numbers: NDArray[np.int64] = np.random.default_rng(1).integers(0, people, step)
    for place in range(0, events, step):
        at = [START + (place + n) * 29 * DAY // events for n in range(step)]
        rows = zip(numbers.tolist(), at, strict=True)
        part = [
            Arrival(Offset(place + n), Person((person + place) % people), _event(n, n % 4, stamp, stamp, 10 * n))
            for n, (person, stamp) in enumerate(rows)
        ]
        fold.ingest(part)
        fold.tick(Instant(at[-1]), names)
    del part, at, rows
    base = _memory("VmRSS")
    started = time.process_time()
    frozen = fold.freeze()
    seconds = time.process_time() - started
    size = sum(len(data) for data in frozen.parts().values())
    told = {
        "rows": events,
        "fold": base,
        "peak": _memory("VmHWM"),
        "freeze": seconds,
        "bytes": size,
        "n": draw.random(),
    }
    print(json.dumps(told))


def _memory(name: str) -> float:
    """Gigabytes of this process, ``VmRSS`` now or ``VmHWM`` at most."""
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith(name))
    return int(line.split()[1]) * 1024 / 1e9


def _each(act: Callable[[int], object], times: int) -> float:
    """CPU seconds of one of several calls, after one that does not count."""
    act(-1)
    started = time.process_time()
    for n in range(times):
        act(n)
    return (time.process_time() - started) / times


def _row(what: str, on: str, figure: float, unit: str, beside: str, digits: int = 0) -> dict[str, object]:
    return {
        "what": what,
        "on": on,
        "figure": round(figure, digits) if digits else round(figure),
        "unit": unit,
        "beside": beside,
    }


def rows() -> list[dict[str, object]]:
    """Rows for `make bench`."""
    return [*rates(), *ticks(), preview(), memory(), *growth()]
