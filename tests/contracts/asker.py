"""Run as a process: asks an address some times when told to go, printing each status or refusal; no time passes."""

import sys
from pathlib import Path

from mailwright.core.errors import Transient
from mailwright.core.fetching import FetchRequest
from mailwright.core.instants import DAY, Instant
from mailwright.stores.fetch_guard import Guard
from mailwright.stores.fetch_httpx import HttpxFetch


class Still:
    """A clock that stands still: a minute never ends, however slow the machine is."""

    def now(self) -> Instant:
        return Instant(20_000 * DAY)


def main(folder: str, url: str, times: int, per_minute: int) -> None:
    asked = FetchRequest(service="weather", url=url, per_minute=per_minute, timeout_s=120)
    fetch = HttpxFetch(Guard(allow=["127.0.0.1"]), Still(), folder=Path(folder))
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(times):
        try:
            print(fetch.fetch(asked).status)
        except Transient as error:
            print(error.code)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
