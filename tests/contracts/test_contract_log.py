"""Every event log adapter is held to the docstrings of `mailwright.core.ports.EventLog`."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.events import ClockMoved, Defined, Event, Events, Identifier, Item, Items, LogRecord, Tick
from mailwright.core.instants import Instant
from mailwright.stores.log_sqlite import SqliteEventLog
from mailwright.stores.memory import MemoryEventLog


@pytest.fixture(params=["sqlite", "memory"])
def log(request, tmp_path):
    if request.param == "memory":
        yield MemoryEventLog()
        return
    with SqliteEventLog(tmp_path / "data" / "log.sqlite") as log:
        yield log


def bought(message_id: str, n_products: int = 1) -> Event:
    return Event(
        message_id=message_id,
        source="shop",
        type="track",
        name="Order Completed",
        stamp_at=Instant(1_700_000_000_000_000),
        received_at=Instant(1_700_000_000_500_000),
        known_at=Instant(1_700_000_000_500_000),
        identifiers=[Identifier("userId", "42")],
        properties={"products": [{"product_id": str(n), "quantity": 1, "price": 2.5} for n in range(n_products)]},
    )


def test_an_empty_log_has_nothing_and_ends_at_zero(log):
    assert log.read(0, 10) == []
    assert log.last() == (0, 0)


def test_appending_nothing_appends_nothing(log):
    assert log.append([], Instant(5)) == []
    assert log.last() == (0, 0)


def test_every_kind_of_body_comes_back_as_it_was(log):
    bodies = [
        Events([bought("a"), bought("b", n_products=200)]),
        Items(
            [Item(catalog="products", item_id="1", stamp_at=Instant(1), facts={"price": None, "tags": ["x", 1, 2.5]})]
        ),
        ClockMoved(),
        Defined(3, {"segments.yaml": "vip: ü\n" * 500}),
        Tick(),
    ]
    assert log.append(bodies, Instant(7)) == [1, 2, 3, 4, 5]
    assert log.read(0, 10) == [LogRecord(n, Instant(7), body) for n, body in enumerate(bodies, 1)]


@pytest.mark.parametrize(
    ("after", "limit", "numbers"),
    [(0, 10, [1, 2, 3, 4, 5]), (0, 2, [1, 2]), (2, 2, [3, 4]), (4, 10, [5]), (5, 10, []), (99, 10, []), (0, 0, [])],
)
def test_read_gives_what_comes_after_up_to_the_limit(log, after, limit, numbers):
    log.append([Tick()] * 5, Instant(1))
    assert [record.number for record in log.read(after, limit)] == numbers


@settings(max_examples=50, deadline=None)
@given(times=st.lists(st.tuples(st.integers(0, 2**62), st.integers(1, 3)), max_size=12))
def test_time_never_decreases_and_numbers_have_no_gaps(times):
    log = MemoryEventLog()
    highest = 0
    for now, n_records in times:
        log.append([Tick()] * n_records, Instant(now))
        highest = max(highest, now)
        assert log.last()[1] == highest
    records = log.read(0, 1_000)
    assert [record.number for record in records] == list(range(1, len(records) + 1))
    assert [record.at for record in records] == sorted(record.at for record in records)


def test_records_that_are_put_are_there_when_the_future_is_done(log):
    waiting = [log.put([Events([bought(str(n), n_products=n)]), Tick()], Instant(n)) for n in range(40)]
    assert not any(future.cancel() for future in waiting)
    assert [future.result(60) for future in waiting] == [[2 * n + 1, 2 * n + 2] for n in range(40)]
    assert [record.body for record in log.read(0, 100)][::2] == [
        Events([bought(str(n), n_products=n)]) for n in range(40)
    ]
    assert log.put([], Instant(99)).result(60) == []
    assert log.last() == (80, 39)


def test_a_clock_that_goes_back_is_held(log):
    for now in (100, 50, 120, 119):
        log.append([Tick()], Instant(now))
    assert [record.at for record in log.read(0, 10)] == [100, 100, 120, 120]
    assert log.last() == (4, 120)


def test_threads_may_append_at_once(log):
    def run(name: int) -> list[int]:
        return [log.append([Events([bought(f"{name}-{n}")]), Tick()], Instant(n))[0] for n in range(50)]

    with ThreadPoolExecutor(8) as pool:
        given_numbers = list(pool.map(run, range(8)))
    records = log.read(0, 10_000)
    assert [record.number for record in records] == list(range(1, 801))
    stored = {record.body.events[0].message_id: record.number for record in records if isinstance(record.body, Events)}
    expected = {f"{name}-{n}": number for name, numbers in enumerate(given_numbers) for n, number in enumerate(numbers)}
    assert stored == expected
