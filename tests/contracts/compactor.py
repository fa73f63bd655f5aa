"""Run as a process: compacts and erases a History table for ever, a step at a time; killed by its test."""

import sys
import time

from mailwright.core.events import Person
from mailwright.core.instants import Instant
from mailwright.stores.history_delta import DeltaHistory

if __name__ == "__main__":
    history = DeltaHistory(sys.argv[1])
    print("ready", flush=True)
    while True:
        now = Instant(time.time_ns() // 1000)
        history.compact("events", now, least=2, target_bytes=40_000)
        history.erase([f"user_id:nobody{now}"], [Person(10**9)], now)
        history.vacuum("events", 0, now)
