"""A shop of simulated events as History has them: weeks with a season, noise and a trend, and faults on request."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mailwright.core.events import Offset
from mailwright.core.instants import DAY, Instant, from_datetime
from mailwright.runtime.engine.history_rows import EVENTS
from mailwright.stores.history_delta import DeltaHistory

START = datetime(2026, 8, 3, tzinfo=UTC)  # a Monday
WEEKEND = np.array([1.0, 0.95, 1.0, 1.05, 1.2, 1.6, 1.4])
COUNTRIES = ["DE", "AT", "CH", "NL"]
CAMPAIGNS = 400

Row = dict[str, Any]
Change = Callable[[int, Row], list[Row]]
"""Day and row -> the rows that come in its place."""


def as_it_is(day: int, row: Row) -> list[Row]:
    """No fault."""
    return [row]


def shop_rows(n_days: int, seed: int, per_day: int = 260, change: Change = as_it_is) -> list[Row]:
    """Events of so many days from `START`."""
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for day in range(n_days):
        level = per_day * WEEKEND[day % 7] * (1 + 0.002 * day) * random.lognormal(0, 0.12)
        for at in np.sort(random.beta(4, 3, random.poisson(level))):
            stamp = START + timedelta(days=day, seconds=int(at * 86_000))
            for row in change(day, _row(random, len(rows), stamp)):
                rows.append({**row, "number": len(rows)})
    return rows


def _row(random: np.random.Generator, number: int, at: datetime) -> Row:
    who = f"u{random.integers(0, 900)}"
    if random.random() < 0.2:
        fields: dict[str, Any] = {
            "order_id": f"o{number}",
            "total": round(float(random.lognormal(3.6, 0.8)), 2),
            "currency": "EUR",
            "coupon": None if random.random() < 0.85 else "AUTUMN",
        }
        name = "Order Completed"
    else:
        name = "Product Viewed"
        fields = {
            "product_id": f"p{random.integers(0, 2000)}",
            "price": round(float(random.lognormal(3, 0.9)), 2),
            "country": str(random.choice(COUNTRIES, p=[0.6, 0.2, 0.15, 0.05])),
            "campaign": f"c{random.integers(0, CAMPAIGNS)}",
            "dwell": float(random.gamma(2, 20)) if random.random() < 0.97 else 0.0,
        }
    return {"source": "site", "type": "track", "name": name, "at": at, "who": who, "fields": fields}


def stored(folder: Path, rows: list[Row]) -> DeltaHistory:
    """History with those rows."""
    n = len(rows)
    at = [row["at"] for row in rows]
    told: dict[str, list[Any]] = {
        "offset": [4096 + number for number in range(n)],
        "recorded_at": at,
        "message_id": [f"m{row['number']}" for row in rows],
        "source": [row["source"] for row in rows],
        "type": [row["type"] for row in rows],
        "name": [row["name"] for row in rows],
        "stamp_at": at,
        "received_at": at,
        "known_at": at,
        "identifier_kind": ["user_id"] * n,
        "identifier": [row["who"] for row in rows],
        "identifier_key": [0] * n,
        "properties": [json.dumps(row["fields"]) for row in rows],
        "traits": [json.dumps(row["traits"]) if "traits" in row else None for row in rows],
        "context": [None] * n,
        "history": [row.get("history", False) for row in rows],
    }
    history = DeltaHistory(folder)
    table = pa.table({field.name: pa.array(told[field.name], field.type) for field in EVENTS})
    history.append("events", table, Offset(4096 + n))
    return history


def morning_of(day: int) -> Instant:
    """Half past twelve at night on a day: the one before is the last complete one."""
    return Instant(from_datetime(START) + day * DAY + DAY // 48)
