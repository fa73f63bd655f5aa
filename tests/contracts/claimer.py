"""Run as a process: claims messages until none is left, printing each send_key with its fence."""

import sys

from mailwright.core.instants import SECOND, Instant
from mailwright.stores.records_sql import SqlRecords


def main(url: str, worker: str) -> None:
    with SqlRecords.open(url) as records:
        while True:
            claimed = records.messages.claim(
                Instant(10), 7, worker, lease_now=Instant(0), lease_until=Instant(60 * SECOND)
            )
            if not claimed:
                return
            for message in claimed:
                print(message.send_key, message.fence, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
