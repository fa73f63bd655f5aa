"""The columnar fold: events per second of an import, and how long a tick takes, beside a plain Python fold."""

from __future__ import annotations

import random
import time
from collections import defaultdict, deque
from zoneinfo import ZoneInfo

from mailwright.core.events import Event, Identifier, Offset, Person
from mailwright.core.instants import DAY, HOUR, Instant
from mailwright.rules.catalog import Catalog
from mailwright.rules.fold import Arrival, Fold, Rules
from mailwright.rules.parse import parse

PEOPLE, EVENTS, BATCH = 100_000, 200_000, 10_000
WINDOWS = (7, 14, 30, 60, 90)
NAMES = ("Order Completed", "Product Viewed", "Product Added", "Email Opened")
START = Instant(1_700_000_000_000_000)


def rules() -> Rules:
    """Twenty windowed segments: each event name in each window."""
    texts = {
        f"{name}_{days}": f"did '{name}' at least 2 times within {days} days" for name in NAMES for days in WINDOWS
    }
    segments = {name.replace(" ", "_").lower(): parse(text) for name, text in texts.items()}
    return Rules(attributes={}, segments=segments, conditions={}, zone=ZoneInfo("UTC"))


def arrivals(late_share: float) -> list[Arrival]:
    """Events in order of arrival over 100 days; late ones are up to five days old."""
    draw = random.Random(1)
    made: list[Arrival] = []
    for n in range(EVENTS):
        known = Instant(START + n * 100 * DAY // EVENTS)
        stamp = Instant(known - draw.randrange(5 * DAY)) if draw.random() < late_share else known
        person = Person(draw.randrange(PEOPLE))
        event = Event(
            message_id=str(n),
            source="bench",
            type="track",
            name=draw.choice(NAMES),
            stamp_at=stamp,
            received_at=known,
            known_at=known,
            identifiers=[Identifier("user_id", str(person))],
        )
        made.append(Arrival(Offset(n), person, event))
    return made


def columnar(made: list[Arrival]) -> float:
    """Seconds for all events in batches, with a tick after each."""
    fold, names = Fold(rules(), Catalog()), [f"user_id:{n}" for n in range(PEOPLE)]
    fold.tick(START, names)
    started = time.perf_counter()
    for place in range(0, EVENTS, BATCH):
        batch = made[place : place + BATCH]
        fold.ingest(batch)
        fold.tick(batch[-1].event.known_at, names)
    return time.perf_counter() - started


def plain(made: list[Arrival]) -> float:
    """Seconds for the same windowed counts kept in dictionaries of queues, without late events put in order."""
    queues: dict[tuple[int, str, int], deque[int]] = defaultdict(deque)
    started = time.perf_counter()
    for _, person, event in made:
        for days in WINDOWS:
            queue = queues[person, event.name, days]
            queue.append(event.stamp_at)
            while queue and queue[0] <= event.known_at - days * DAY:
                queue.popleft()
    return time.perf_counter() - started


def hourly_tick() -> float:
    """Milliseconds of a tick an hour later that finds nothing new, everybody's windows running."""
    fold, names = Fold(rules(), Catalog()), [f"user_id:{n}" for n in range(PEOPLE)]
    made = arrivals(0)
    fold.ingest(made)
    at = made[-1].event.known_at
    fold.tick(at, names)
    started = time.perf_counter()
    for hour in range(1, 11):
        fold.tick(Instant(at + hour * HOUR), names)
    return (time.perf_counter() - started) * 100


def rows() -> list[dict[str, object]]:
    """Rows for `make bench`."""
    on = f"{PEOPLE:,} people, {len(NAMES) * len(WINDOWS)} windowed leaves, {EVENTS:,} events, batches of {BATCH:,}"
    beside = f"{EVENTS / plain(arrivals(0)) / 1000:,.0f}k/s a dictionary of queues per person, name and window"
    found: list[dict[str, object]] = []
    for late in (0.0, 0.02, 0.3):
        rate = EVENTS / columnar(arrivals(late)) / 1000
        found.append(
            {"what": f"fold, {late:.0%} late", "on": on, "figure": round(rate), "unit": "k events/s", "beside": beside}
        )
    found.append({"what": "hourly tick", "on": on, "figure": round(hourly_tick(), 1), "unit": "ms", "beside": "-"})
    return found
