"""The PostedRecords port, on SQLite and on PostgreSQL."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path[:0] = [str(Path(__file__).parents[1] / "servers")]

from postgres import postgres  # noqa: E402, F401

from mailwright.core.errors import Transient  # noqa: E402
from mailwright.core.posted import PostedRow  # noqa: E402
from mailwright.stores.records_sql import SqlRecords  # noqa: E402


@pytest.fixture(params=["sqlite", "postgresql"])
def records_url(request, tmp_path):
    """Where a Records database may be made."""
    if request.param == "sqlite":
        return str(tmp_path / "data" / "records.sqlite")
    return request.getfixturevalue("postgres").database()


def row(key, turn=1, position=0, said="it", kept=b""):
    return PostedRow(key=key, turn=turn, position=position, digest=said, kept=kept)


def test_what_was_noted_is_known_of_that_import_alone(records, records_url):
    told = [row("a", position=(1 << 63) - 1, kept=b"\x00\xff"), row("b", said="")]
    records.posted.note("crm", told)
    records.posted.note("till", [row("a", said="else")])
    records.posted.note("crm", [])
    with SqlRecords.open(records_url) as again:
        assert again.posted.known("crm", ["b", "a", "never"]) == {"a": told[0], "b": told[1]}
        assert again.posted.known("till", {"a", "b"}) == {"a": row("a", said="else")}
        assert again.posted.known("crm", []) == {}


def test_of_two_who_read_the_same_the_second_notes_nothing(records):
    records.posted.note("crm", [row("a")])
    for turn in (1, 3):
        with pytest.raises(Transient, match="another writer posts the same rows") as found:
            records.posted.note("crm", [row("new", said="lost"), row("a", turn, said="lost")])
        assert found.value.code == "posted.raced"
        assert records.posted.known("crm", ["a", "new"]) == {"a": row("a")}
    records.posted.note("crm", [row("new"), row("a", 2, said="more")])
    assert records.posted.known("crm", ["a", "new"]) == {"a": row("a", 2, said="more"), "new": row("new")}


notes = st.lists(
    st.dictionaries(st.sampled_from("abcd"), st.tuples(st.booleans(), st.integers(0, 2**63 - 1)), max_size=4),
    max_size=8,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(notes)
def test_it_keeps_what_a_table_of_newest_rows_would(records, told):
    name = f"import {sum(len(one) for one in told)} {hash(str(told))}"
    model = records.posted.known(name, "abcd")
    for batch in told:
        turns = {key: model[key].turn if key in model else 0 for key in batch}
        rows = [row(key, turns[key] + (1 if fresh else 2), place) for key, (fresh, place) in batch.items()]
        if all(fresh for fresh, _ in batch.values()):
            records.posted.note(name, rows)
            model |= {one.key: one for one in rows}
        else:
            with pytest.raises(Transient):
                records.posted.note(name, rows)
        assert records.posted.known(name, "abcd") == model


def test_of_many_at_the_same_time_each_turn_is_noted_once(records, records_url):
    """Two processes' worth of connections, whose batches overlap in every order."""
    keys = [f"key-{n}" for n in range(6)]

    def note(n):
        mine = [records, second][n % 2].posted
        known = mine.known("crm", keys)
        rows = [row(key, known[key].turn + 1 if key in known else 1, said=str(n)) for key in keys[:: (-1) ** n]]
        try:
            mine.note("crm", rows)
        except Transient as error:
            return error.code
        return n

    with SqlRecords.open(records_url) as second, ThreadPoolExecutor(6) as pool:
        told = list(pool.map(note, range(30)))
    noted = [one for one in told if one != "posted.raced"]
    newest = records.posted.known("crm", keys)
    assert {one.turn for one in newest.values()} == {len(noted)}
    assert len({one.digest for one in newest.values()}) == 1
