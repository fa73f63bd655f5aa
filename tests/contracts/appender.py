"""Run as a process: appends records to a log for ever, printing each number once it is acknowledged."""

import sys

from mailwright.core.events import Event, Events, Identifier
from mailwright.core.instants import Instant
from mailwright.stores.log_sqlite import SqliteEventLog


def main(path: str, name: str, count: int) -> None:
    # SQLite's lock is not fair: where a sync takes long, whoever has just written is the next one, again and again.
    with SqliteEventLog(path, busy_timeout_ms=240_000) as log:
        for place in range(count):
            event = Event(
                message_id=f"{name}-{place}",
                source=name,
                type="track",
                name="Seen",
                stamp_at=Instant(place),
                received_at=Instant(place),
                known_at=Instant(place),
                identifiers=[Identifier("userId", name)],
                properties={"text": "x" * (place % 900)},
            )
            (number,) = log.append([Events([event])], Instant(place))
            print(number, event.message_id, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
