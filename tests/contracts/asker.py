"""Run as a process: asks an address some times when told to go, printing each status or refusal."""

import sys
from pathlib import Path

from mailwright.core.errors import Transient
from mailwright.core.fetching import FetchRequest
from mailwright.runtime.clocks import SystemClock
from mailwright.stores.fetch_guard import Guard
from mailwright.stores.fetch_httpx import HttpxFetch


def main(folder: str, url: str, times: int, per_minute: int) -> None:
    fetch = HttpxFetch(Guard(allow=["127.0.0.1"]), SystemClock(), folder=Path(folder))
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(times):
        try:
            print(fetch.fetch(FetchRequest(service="weather", url=url, per_minute=per_minute)).status)
        except Transient as error:
            print(error.code)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
