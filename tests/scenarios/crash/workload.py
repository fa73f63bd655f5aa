"""Run as a process: a fixed story through a real engine, from wherever an earlier, interrupted run of it came.

``python workload.py FOLDER`` takes a project that `make_project` wrote and tells the story step by step: a step is
appended to the log, told as ``ack N`` on standard output once it is durable, and waited for. At its end stands one line
of JSON that must be the same however often, and wherever, the process was interrupted: what is true of everybody, what
History holds and which mails were asked for. Places in the log are left out: a resumed run may write more records.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailwright.core.errors import MailwrightError, Transient
from mailwright.core.events import PLACES, Body, Event, Events, Identifier, Item, Items, Person, Tick
from mailwright.core.instants import HOUR, Instant, parse_iso
from mailwright.runtime.engine.process import run_engine
from mailwright.runtime.installation import Installation, open_installation
from mailwright.runtime.project import starter
from mailwright.runtime.project.versions import apply, plan
from mailwright.runtime.settings import load_settings

START = parse_iso("2026-03-01T00:00:00Z")
PEOPLE = 12
DAYS = 40
CHANGED_ON = 20
PATIENCE_S = 120.0

SETTINGS = """\
[project]
name = "Crash shop"
time_zone = "Europe/Berlin"
[clock]
kind = "virtual"
start = "2026-03-01T00:00:00Z"
[sender]
from_name = "Crash shop"
from_address = "hello@shop.example"
postal_address = "1 Street"
allow_reserved_domains = true
[engine]
checkpoint_events = 20
history_s = 1
"""
NEW_SEGMENT = """\
busy:
  title: Busy
  rule: did 'Product Viewed' at least 2 times within 9 days
"""


def make_project(folder: Path) -> None:
    """The user's files, which no crash touches."""
    starter.write(folder)
    (folder / "mailwright.toml").write_text(SETTINGS)


def write_segments(folder: Path, *, changed: bool) -> None:
    """The starter's segments, with the new one or without; whole, also if this process is killed as it writes."""
    path, new = folder / "segments.yaml", folder / "segments.new"
    before = path.read_text().removesuffix(NEW_SEGMENT)
    new.write_text(before + (NEW_SEGMENT if changed else ""))
    new.replace(path)


def event(number: int, day: int) -> Event:
    """Event `number` of a day; some are told late, some name a second identifier and so merge two people."""
    person = (number * 7 + day) % PEOPLE
    stamp = Instant(START + day * 24 * HOUR - (3 * 24 * HOUR if (number + day) % 9 == 0 else 0))
    name = ("Product Viewed", "Order Completed", "")[(number + day) % 3] if (number + day) % 4 else "Product Viewed"
    if person < 4 and day > 5 and name == "Order Completed":
        name = "Product Viewed"  # some stop buying, so that a journey starts
    also = [Identifier("anonymous_id", f"a{person}")] if number % 5 == 0 else []
    user = Identifier("anonymous_id", f"a{person}") if day < 8 else Identifier("user_id", f"u{person}")
    return Event(
        message_id=f"m{day}-{number}",
        source="shop",
        type="track" if name else "identify",
        name=name,
        stamp_at=stamp,
        received_at=Instant(START + day * 24 * HOUR),
        known_at=Instant(START + day * 24 * HOUR),
        identifiers=[user, *also],
        properties={"total": 10 + number} if name == "Order Completed" else {},
        traits={} if name else {"firstName": f"P{person}"},
    )


def story() -> list[tuple[Instant, Body | None]]:
    """(instant, record), None standing for the changed definitions; each step has an instant of its own."""
    product = Items([Item(catalog="products", item_id="p1", stamp_at=START, facts={"title": "Vase"})])
    steps: list[tuple[Instant, Body | None]] = [(Instant(START + 1), product)]
    for day in range(1, DAYS + 1):
        noon = START + day * 24 * HOUR
        if day == CHANGED_ON:
            steps.append((Instant(noon - 1), None))
        steps.append((Instant(noon), Events([event(number, day) for number in range(6)])))
        if day % 6 == 0:  # the same again: each event counts once
            steps.append((Instant(noon + 1), Events([event(number, day) for number in range(3)])))
        steps.append((Instant(noon + HOUR), Tick()))
    return steps


def wait_for(what: str, holds: Callable[[], Any], failed: list[BaseException]) -> None:
    """Until `holds` is true; an engine that has died ends the run."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        if failed:
            raise failed[0]
        try:
            if holds():
                return
        except Transient:
            pass  # it recovers
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.005)


def in_force(there: Installation, failed: list[BaseException]) -> None:
    """Apply what the files say, if it is not, and wait until the engine follows it."""
    there.pump_outbox()
    planned = plan(there)
    if planned.differences:
        apply(there, planned)
    version = plan(there).current
    wait_for("the new version is in force", lambda: there.engine.status().version == version, failed)


def tell(there: Installation, folder: Path, failed: list[BaseException]) -> None:
    """Append what the log does not have yet, a step at a time."""
    current = there.records.definitions.current()
    write_segments(folder, changed=current is not None and current.version > 1)
    in_force(there, failed)
    for number, (at, body) in enumerate(story()):
        if body is None:
            write_segments(folder, changed=True)
            in_force(there, failed)
        elif at > there.log.last()[1]:  # else an earlier run appended it
            (record,) = there.log.append([body], at)
            print(f"ack {number}", flush=True)
            if isinstance(body, Tick):
                wait_for("a tick", lambda record=record: there.records.engine.applied() >= record * PLACES, failed)
    last = there.log.last()[0]
    wait_for("the engine has folded all", lambda: there.engine.status().offset >= last * PLACES, failed)


def rounded(value: Any) -> Any:
    """A decayed score adds up in any order, so its last digits may differ."""
    return round(value, 6) if isinstance(value, float) else value


def told(there: Installation) -> dict[str, Any]:
    """What must be the same in the end."""
    there.engine.flush_history()
    status = there.engine.status()
    facts = there.engine.facts([Person(n) for n in range(200)])
    people = {
        one.first_identifier: [
            sorted(f"{each.kind}:{each.value}" for each in one.identifiers),
            {name: known.value for name, known in one.traits.items()},
            {name: rounded(known.value) for name, known in one.attributes.items()},
            sorted(one.segments),
            one.n_events,
        ]
        for one in facts.values()
    }
    query = there.history.query
    messages = there.records.messages.page(before=None, limit=10_000)
    return {
        "people": people,
        "sizes": status.segments,
        "counts": [status.n_events, status.n_duplicates, status.n_items],
        "events": query("select message_id from events order by message_id").to_pydict(),
        "ticks": query('select epoch_us("at") as t from ticks order by 1').to_pydict(),
        "transitions": query(
            'select epoch_us("at") as t, person, segment, entered, cause from transitions order by 1, 2, 3'
        ).to_pydict(),
        "mails": sorted([message.send_key for message in messages]),
    }


def main(folder: Path) -> None:
    there = open_installation(load_settings(folder))
    stops: list[Callable[[], None]] = []
    failed: list[BaseException] = []
    ready = threading.Event()

    def ready_with(stop: Callable[[], None]) -> None:
        stops.append(stop)
        ready.set()

    def run() -> None:
        try:
            run_engine(there, ready_with)
        except BaseException as error:  # noqa: BLE001 - the main thread tells it
            failed.append(error)
            ready.set()

    engine = threading.Thread(target=run)
    engine.start()
    ready.wait()
    try:
        tell(there, folder, failed)
        found = told(there)
    finally:
        for stop in stops:
            stop()
        engine.join()
        there.close()
    print("told " + json.dumps(found, sort_keys=True, default=str), flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except MailwrightError as error:
        sys.exit(f"{error.code}: {error}")
