"""History in bulk: backfill of new windowed leaves and the preview of a rule nobody asked before, beside DuckDB SQL."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mailwright.core.events import PLACES, Offset
from mailwright.core.instants import DAY, Instant
from mailwright.profiles.identifier_key import identifier_keys
from mailwright.rules.catalog import Catalog
from mailwright.rules.fold import Fold, Rules
from mailwright.rules.fold.rows import Ints
from mailwright.rules.fold.typed import ZONE, column_suffix, columns_of
from mailwright.rules.parse import parse
from mailwright.runtime.past import Past
from mailwright.runtime.previews import estimate, exactly
from mailwright.stores.history_delta import DeltaHistory

EVENTS, PEOPLE, CHUNK = 20_000_000, 1_000_000, 500_000
WINDOWS = (7, 14, 30, 60, 90)
NAMES = ("Order Completed", "Product Viewed", "Product Added", "Email Opened")
CATEGORIES = ("Shoes", "Hats", "Coats", "Bags")
START = Instant(1_700_000_000_000_000)
SPAN = 120 * DAY
END = Instant(START + SPAN)
ASKED = "did 'Order Completed' where category = 'Shoes' at least 2 times within 30 days"
SAMPLE = {"category": "Shoes", "total": 12.5}


def make(folder: Path, events: int, people: int) -> DeltaHistory:
    """Events of `people`, each with one identifier, over 120 days; every chunk is an append like the engine's."""
    history = DeltaHistory(folder)
    draw = np.random.default_rng(1)
    texts = [f"user_id:{number}" for number in range(people)]
    keys = identifier_keys(texts)
    first = np.full(people, PLACES, dtype=np.int64)
    whole = pa.array(first)
    belonging = {
        "offset": whole,
        "identifier": pa.array(texts),
        "person": pa.array(np.arange(people)),
        "from_offset": whole,
        "to_offset": pa.nulls(people, pa.int64()),
        "identifier_key": pa.array(keys),
    }
    last = Offset(PLACES * (events + 1))
    history.append("belonging", pa.table(belonging), last)
    for start in range(0, events, CHUNK):
        chunk = _chunk(draw, start, min(CHUNK, events - start), events, keys)
        history.append("events", chunk, Offset(int(chunk["offset"][-1].as_py())))
    history.append("ticks", pa.table({"offset": pa.array([last]), "at": _times(np.array([END]))}), last)
    history.append("events", chunk.slice(0, 0), last)
    return history


def _chunk(draw: np.random.Generator, start: int, n: int, whole: int, keys: Ints) -> pa.Table:
    person = draw.integers(len(keys), size=n)
    known = START + np.arange(start, start + n) * (SPAN // whole)
    stamp = known - np.where(draw.random(n) < 0.02, draw.integers(0, 5 * DAY, n), 0)
    number = np.arange(start + 1, start + n + 1)
    category = draw.integers(len(CATEGORIES), size=n)
    cents = draw.integers(1, 20_000, size=n)
    columns = {
        "offset": pa.array(number * PLACES),
        "recorded_at": _times(known),
        "message_id": pc.cast(pa.array(number), pa.string()),
        "source": _repeated("web", n),
        "type": _repeated("track", n),
        "name": _of(NAMES, draw.integers(len(NAMES), size=n)),
        "stamp_at": _times(stamp),
        "received_at": _times(known),
        "known_at": _times(known),
        "identifier_kind": _repeated("user_id", n),
        "identifier": pc.cast(pa.array(person), pa.string()),
        "identifier_key": pa.array(keys[person]),
        "properties": _properties(category, cents),
        "traits": pa.nulls(n, pa.string()),
        "context": pa.nulls(n, pa.string()),
        "history": pa.array(np.zeros(n, dtype=bool)),
        "text_category": _of(CATEGORIES, category),
        "number_total": pa.array(cents * 10_000),
    }
    for path in (("category",), ("total",), ZONE):
        (kind,) = columns_of([SAMPLE], path)["kind_" + column_suffix(path)].to_pylist()
        columns["kind_" + column_suffix(path)] = pa.array(np.full(n, kind, np.int8))
    return pa.table(columns)


def _times(values: Ints) -> pa.Array:
    return pa.array(values.astype("datetime64[us]"), pa.timestamp("us", tz="UTC"))


def _repeated(text: str, n: int) -> pa.Array:
    return _of((text,), np.zeros(n, dtype=np.int64))


def _of(words: tuple[str, ...], codes: Ints) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(words)).cast(pa.string())


def _properties(category: Ints, cents: Ints) -> pa.Array:
    words = tuple(f'{{"category":"{name}","total":' for name in CATEGORIES)
    totals = pc.cast(pa.array(cents / 100), pa.string())
    return pc.binary_join_element_wise(_of(words, category), totals, "}", "")


def windowed() -> Rules:
    """Twenty windowed leaves: each event name in each window; some with a filter, some sums."""
    texts = {}
    for place, name in enumerate(NAMES):
        for days in WINDOWS:
            texts[f"{place}_{days}"] = (
                f"did '{name}' where category = 'Shoes' at least 2 times within {days} days",
                f"did '{name}' at least 2 times within {days} days",
                f"sum of '{name}'.total within {days} days > 100",
                f"did '{name}' at least 3 times within {days} days",
            )[place]
    return _rules(texts)


def _rules(texts: dict[str, str]) -> Rules:
    nodes = {f"s{name}": parse(text) for name, text in texts.items()}
    return Rules(attributes={}, segments=nodes, conditions={}, zone=ZoneInfo("UTC"))


def backfill(history: DeltaHistory) -> Fold:
    """The leaves of `windowed`, filled as the backfill job does."""
    rules = windowed()
    past = Past(history)
    leaves = Fold(rules, Catalog()).leaves()
    return past.fill(rules, END, past.upto, leaves=leaves)


def in_sql(history: DeltaHistory) -> pa.Table:
    """The same twenty values per person in one pass of DuckDB."""
    values = []
    for place, name in enumerate(NAMES):
        for days in WINDOWS:
            after = f"make_timestamptz({END - days * DAY})"
            when = f"name = '{name}' AND stamp_at > {after}" + (" AND text_category = 'Shoes'" if place == 0 else "")
            values.append(
                f"{'sum(number_total)' if place == 2 else 'count(*)'} FILTER (WHERE {when}) AS v{place}_{days}"
            )
    sql = f"SELECT person, {', '.join(values)} FROM events JOIN belonging USING (identifier_key) GROUP BY person"
    return history.query(sql)


def asked_in_sql(history: DeltaHistory) -> pa.Table:
    """How many people the previewed rule holds for, in DuckDB over everybody."""
    return history.query(
        "SELECT count(*) FROM (SELECT person FROM events JOIN belonging USING (identifier_key)"
        f" WHERE name = 'Order Completed' AND text_category = 'Shoes' AND stamp_at > make_timestamptz({END - 30 * DAY})"
        " GROUP BY person HAVING count(*) >= 2)"
    )


def _seconds(run: Callable[[], object]) -> float:
    """The better of two runs: the first one also reads the files into memory."""
    took = []
    for _ in range(2):
        started = time.perf_counter()
        run()
        took.append(time.perf_counter() - started)
    return round(min(took), 2)


def figures(history: DeltaHistory) -> dict[str, tuple[float, str]]:
    """Seconds of each thing measured, and what stands beside it."""
    past = Past(history)
    graph, rules, node = past.graph_at(past.upto), windowed(), parse(ASKED)
    told = exactly(past, graph, rules, node, END).size
    near = estimate(past, graph, rules, node, END).size
    assert told is not None
    assert near is not None
    whole = f"{_seconds(lambda: asked_in_sql(history))} s DuckDB"
    sample = f"{near.n:,} ({near.low:,} to {near.high:,}), exactly {told.n:,}"
    return {
        "backfill of 20 windowed leaves": (
            _seconds(lambda: backfill(history)),
            f"{_seconds(lambda: in_sql(history))} s DuckDB",
        ),
        "preview of a new leaf from a sample": (_seconds(lambda: estimate(past, graph, rules, node, END)), sample),
        "preview of a new leaf, exact": (_seconds(lambda: exactly(past, graph, rules, node, END)), whole),
    }


def rows() -> list[dict[str, object]]:
    """Rows for `make bench`: a tenth of the events and people first, to show the growth."""
    found: list[dict[str, object]] = []
    for share in (10, 1):
        events, people = EVENTS // share, PEOPLE // share
        with tempfile.TemporaryDirectory(prefix="mailwright-bench-") as folder:
            history = make(Path(folder) / "history", events, people)
            on = f"{events:,} events of {people:,} people"
            found += [
                {"what": what, "on": on, "figure": figure, "unit": "s", "beside": beside}
                for what, (figure, beside) in figures(history).items()
            ]
    return found
