"""Joining, forgetting and erasing: History's rows stay what they are, but for those that shall go."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mailwright.core.errors import NotFound
from mailwright.core.events import Offset, Person
from mailwright.core.instants import DAY, Instant, parse_iso
from mailwright.stores.history_delta import DeltaHistory

NOW = parse_iso("2026-11-22T09:00:00Z")
_TIME = pa.timestamp("us", tz="UTC")


@pytest.fixture(params=["delta"])
def folder(request, tmp_path):
    return tmp_path / "a shop's {ü}" / "history"


@pytest.fixture
def history(folder):
    return DeltaHistory(folder)


def events(*offsets: int, who: str = "ada", **columns) -> pa.Table:
    n = len(offsets)
    told = {
        "offset": pa.array(offsets, pa.int64()),
        "recorded_at": pa.array([NOW + offset * DAY for offset in offsets], _TIME),
        "identifier_kind": ["user_id"] * n,
        "identifier": [who] * n,
        "properties": [f'{{"secret":"{who} likes {offset}"}}' for offset in offsets],
        "text_city": pa.array([f"city of {who}"] * n, pa.string()),
    }
    return pa.table(told | columns)


def filled(history, n_files: int = 12) -> None:
    for place in range(n_files):
        who = "bob-4711" if place in (3, 7) else f"person{place}"
        history.append("events", events(10 * place + 1, 10 * place + 2, who=who), Offset(10 * place + 2))


def rows(history) -> list[dict]:
    return history.query('SELECT * FROM events ORDER BY "offset"').to_pylist()


def in_order(history) -> list[int]:
    return [row for batch in history.scan("events", ["offset"], Offset(10**9)) for row in batch["offset"].to_pylist()]


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("events/*.parquet"))


def test_joined_files_hold_the_same_rows_in_the_same_order(history, folder):
    filled(history)
    before, order = rows(history), in_order(history)
    assert history.compact("events", NOW) == 12
    assert history.compact("events", NOW) == 0
    assert rows(history) == before
    assert in_order(history) == order == sorted(order)
    assert [piece.n_rows for piece in history.pieces("events")] == [24]
    assert history.offset("events") == 112
    history.append("events", events(200), Offset(200))
    assert rows(DeltaHistory(folder))[:-1] == before
    assert in_order(DeltaHistory(folder)) == [*order, 200]


def test_only_neighbours_are_joined_and_large_files_left_alone(history):
    filled(history, 5)
    many = list(range(1000, 6000))
    random.Random(1).shuffle(many)
    history.append("events", events(*range(1000, 6000), note=pa.array([f"{n:>40}" for n in many])), Offset(6000))
    for place in range(3):
        history.append("events", events(7000 + place), Offset(7000 + place))
    assert history.compact("events", NOW, target_bytes=30_000, least=2) == 5
    assert history.compact("events", NOW, target_bytes=30_000, least=2) == 3
    assert history.compact("events", NOW, target_bytes=30_000, least=2) == 0
    assert in_order(history) == sorted(in_order(history))
    assert len(list(history.pieces("events"))) == 3


def test_columns_of_younger_files_are_null_in_the_older_rows(history):
    history.append("events", events(1), Offset(1))
    history.append("events", events(2, number_total=pa.array([7], pa.int64())), Offset(2))
    history.compact("events", NOW, least=2)
    assert [row["number_total"] for row in rows(history)] == [None, 7]


def test_old_files_stay_until_they_are_swept(history, folder):
    filled(history)
    pieces = list(history.pieces("events"))
    for path in files(folder):  # written long ago, but part of the table until now
        os.utime(path, (0, 0))
    history.compact("events", Instant(time.time_ns() // 1000))
    later = Instant(time.time_ns() // 1000 + DAY)
    assert history.vacuum("events", 2 * DAY, later) == 0
    assert pieces[0].read(["offset"]).num_rows == 2
    assert history.vacuum("events", DAY // 2, later) == 12
    assert len(files(folder)) == 1
    with pytest.raises(NotFound, match="ask again"):
        pieces[0].read(["offset"])
    assert len(rows(history)) == 24


def test_a_query_whose_files_go_meanwhile_is_asked_again(history):
    filled(history)
    reader, found = DeltaHistory(history._folder), []
    look = reader._files

    def slow(table):
        told = look(table)
        if told and not found:
            history.compact("events", NOW)
            history.vacuum("events", 0, Instant(time.time_ns() // 1000 + DAY))
        found.append(told)
        return told

    reader._files = slow
    assert reader.query("SELECT count(*) AS n FROM events")["n"].to_pylist() == [24]


def test_forgetting_takes_whole_files_whose_newest_row_is_old_enough(history):
    filled(history, 3)  # files end at days 2, 12 and 22
    assert history.forget_before("events", "recorded_at", Instant(NOW + 2 * DAY), NOW) == 0
    assert history.forget_before("events", "recorded_at", Instant(NOW + 12 * DAY + 1001), NOW) == 2
    assert [row["offset"] for row in rows(history)] == [21, 22]
    assert history.offset("events") == 22
    gone = history.changes("events", 3).to_pylist()
    assert sorted(row["offset"] for row in gone if row["_change_type"] == "delete") == [1, 2, 11, 12]


def told_from(history) -> int:
    """The oldest version whose changes are told; of every older one it is said that it is that one."""
    newest = history.versions("events")[0]["version"]
    for oldest in range(newest + 2):
        with suppress(NotFound):
            history.changes("events", oldest)
            break
    for version in range(oldest):
        with pytest.raises(NotFound, match=f"versions before {oldest} are gone") as told:
            history.changes("events", version)
        assert f"ask from version {oldest} on" in told.value.hint
    for version in range(oldest, newest + 1):
        history.changes("events", version)
    return oldest


def test_changes_that_cannot_be_told_any_more_name_the_oldest_that_can(history):
    filled(history, 4)
    history.compact("events", NOW, least=2)
    assert told_from(history) == 0
    history.append("events", events(200, who="bob-4711"), Offset(200))
    history.append("events", events(300), Offset(300))
    history.vacuum("events", 0, Instant(time.time_ns() // 1000 + DAY))
    assert told_from(history) == 4
    history.erase(["user_id:bob-4711"], [], NOW)
    assert told_from(history) == 6
    assert sorted(history.changes("events", 6)["_change_type"].to_pylist()) == ["delete"] * 3 + ["insert"]
    assert history.changes("events", 8).num_rows == 0


def test_a_feed_that_began_later_is_told_from_its_beginning(folder):
    deltalake.write_deltalake(folder / "events", events(1))
    history = DeltaHistory(folder)
    (folder / "events" / "synced").write_text("0")
    with pytest.raises(NotFound, match="the feed began only there"):
        history.changes("events", 0)
    history.erase(["user_id:ada"], [], NOW)
    assert told_from(history) in (1, 2)


BODY = '{"added":["user_id:bob-4711","user_id:eve"],"graph":[["user_id","bob-4711"],["user_id","x"]],"by":"bob-4711"}'


def with_bob_everywhere(history) -> None:
    filled(history)
    history.append(
        "records", pa.table({"offset": [1, 2], "kind": ["list", "note"], "body": [BODY, '{"by":"eve"}']}), Offset(2)
    )
    told = {
        "offset": [1, 2],
        "list": ["a", "a"],
        "identifier": ["user_id:bob-4711", "user_id:eve"],
        "added": [True, True],
    }
    history.append("lists", pa.table(told), Offset(2))
    told = {"offset": [1, 2], "person": [4, 5], "segment": ["s", "s"], "entered": [True, True]}
    history.append("transitions", pa.table(told), Offset(2))
    told = {"offset": [1], "person": [4], "other": [5], "one": ["user_id:eve"], "two": ["user_id:x\nuser_id:bob-4711"]}
    history.append("merges", pa.table(told), Offset(2))
    told = {
        "offset": [1, 2],
        "identifier": ["user_id:bob-4711", "user_id:eve"],
        "person": [4, 5],
        "from_offset": [1, 2],
        "identifier_key": [44, 55],
    }
    history.append("belonging", pa.table(told), Offset(2))


def test_an_erased_person_is_nowhere_and_everybody_else_is_as_before(history, folder):
    with_bob_everywhere(history)
    others = [row for row in rows(history) if row["identifier"] != "bob-4711"]
    before = {path: path.read_bytes() for path in files(folder)}
    held = [path for path in before if b"bob" in before[path]]
    assert len(held) == 2
    since = history.versions("events")[0]["version"]

    assert history.erase(["user_id:bob-4711"], [Person(4)], NOW) == 9  # 4 events and one row of each other table
    assert rows(history) == others
    left = {path: path.read_bytes() for path in files(folder)}
    assert {path: before[path] for path in before if path not in held} == left  # their files alone, byte for byte
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"bob" not in path.read_bytes(), path
    assert history.query("SELECT * FROM lists")["identifier"].to_pylist() == ["user_id:eve"]
    assert history.query("SELECT * FROM transitions")["person"].to_pylist() == [5]
    bodies = history.query('SELECT body FROM records ORDER BY "offset"')["body"].to_pylist()
    assert bodies == [
        '{"added":["user_id:eve"],"graph":[["user_id","erased"],["user_id","x"]],"by":"erased"}',
        '{"by":"eve"}',
    ]
    (merge,) = history.query("SELECT one, two FROM merges").to_pylist()
    assert merge["one"] == "user_id:eve"
    assert merge["two"].startswith("user_id:x\nerased:")
    graph = history.query('SELECT identifier, person, identifier_key FROM belonging ORDER BY "offset"').to_pylist()
    assert graph[0]["identifier"].startswith("erased:")
    assert (graph[0]["person"], graph[0]["identifier_key"]) == (4, None)
    assert graph[1] == {"identifier": "user_id:eve", "person": 5, "identifier_key": 55}

    gone = [row for row in history.changes("events", since + 1).to_pylist() if row["_change_type"] == "delete"]
    assert sorted(row["offset"] for row in gone) == [31, 32, 71, 72]
    assert {row["properties"] for row in gone} == {None}
    assert history.erase(["user_id:bob-4711"], [Person(4)], NOW) == 0


def test_a_file_of_nobody_else_goes_whole_and_joined_files_are_cut(history, folder):
    filled(history)
    history.compact("events", NOW, least=2)
    assert any(b"bob" in path.read_bytes() for path in files(folder))
    history.erase(["user_id:bob-4711"], [], NOW)
    assert not any(b"bob" in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert len(rows(history)) == 20
    assert in_order(history) == sorted(in_order(history))
    history.append("events", events(900), Offset(900))
    assert in_order(history)[-1] == 900


def test_a_short_identifier_is_not_taken_for_another_s_text(history):
    body = '{"name":"7","who":["user_id","7"],"n":7}'
    history.append("records", pa.table({"offset": [1], "kind": ["x"], "body": [body]}), Offset(1))
    history.erase(["user_id:7"], [], NOW)
    assert history.query("SELECT body FROM records")["body"].to_pylist() == [
        '{"name":"7","who":["user_id","erased"],"n":7}'
    ]


def test_a_table_made_without_a_feed_has_one_after_its_first_upkeep(folder):
    import deltalake

    deltalake.write_deltalake(
        folder / "events",
        events(1),
        commit_properties=deltalake.CommitProperties(app_transactions=[deltalake.Transaction("mailwright", 1)]),
    )
    (folder / "events" / "synced").write_text("0")
    history = DeltaHistory(folder)
    assert history.compact("events", NOW) == 0
    since = history.versions("events")[0]["version"]
    history.append("events", events(2), Offset(2))
    assert [row["offset"] for row in history.changes("events", since + 1).to_pylist()] == [2]


def test_versions_name_what_was_done(history):
    filled(history, 8)
    history.compact("events", NOW)
    told = history.versions("events")
    assert [each["version"] for each in told] == list(range(8, -1, -1))
    assert (told[0]["operation"], told[0]["at"]) == ("OPTIMIZE", NOW)
    assert history.versions("nothing") == []
    assert len(history.files("events", 3)) == 4


@pytest.mark.slow
def test_a_killed_compaction_leaves_a_table_with_the_same_rows(folder):
    writer = DeltaHistory(folder)
    expected: list[int] = []
    for kill in range(6):
        with subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "compactor.py"), str(folder)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout.readline() == "ready\n"
            for place in range(15):
                offset = 1000 * kill + place + 1
                writer.append("events", events(offset, who=f"p{place}"), Offset(offset))
                expected.append(offset)
                if place == 7 + kill:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
        assert in_order(DeltaHistory(folder)) == expected
        assert in_order(writer) == expected
    assert all(pq.read_metadata(path) for path in map(Path, writer.files("events")))
