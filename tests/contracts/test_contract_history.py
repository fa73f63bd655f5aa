"""Every History adapter is held to the docstrings of `mailwright.core.ports.History`."""

import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput, NotFound, Transient
from mailwright.core.events import Offset
from mailwright.core.instants import Instant
from mailwright.stores.history_delta import DeltaHistory


@pytest.fixture(params=["delta"])
def open_history(request, tmp_path):
    """Opens History as one more process would; every call sees the same tables."""
    # A folder may be named by a person: spaces, umlauts and quotes included.
    return lambda: DeltaHistory(tmp_path / "a shop's 100 {ü}#" / "history")


@pytest.fixture
def history(open_history):
    return open_history()


def rows(*offsets: int, **columns) -> pa.Table:
    values = {"name": pa.array([f"n{offset}" for offset in offsets], pa.string())} | columns
    return pa.table({"offset": pa.array(offsets, pa.int64()), **values})


def offsets(history, table: str = "events") -> list[int]:
    return history.query(f'SELECT "offset" FROM {table} ORDER BY 1')["offset"].to_pylist()


def test_a_table_that_does_not_exist(history):
    assert history.offset("events") == 0
    with pytest.raises(InvalidInput, match="events"):
        history.query("SELECT * FROM events")
    with pytest.raises(NotFound, match="events"):
        history.scan("events", ["offset"], Offset(1))


def test_what_is_appended_can_be_asked(history):
    history.append("events", rows(1, 2, 3), Offset(4))
    assert history.offset("events") == 4
    assert history.query('SELECT * FROM events ORDER BY "offset"').to_pydict() == {
        "offset": [1, 2, 3],
        "name": ["n1", "n2", "n3"],
    }


def test_the_same_append_twice_adds_nothing(history, open_history):
    for opened in (history, history, open_history()):
        opened.append("events", rows(1, 2, 3), Offset(3))
        assert offsets(opened) == [1, 2, 3]
        assert opened.offset("events") == 3


def test_an_overlap_is_cut_away(history, open_history):
    history.append("events", rows(1, 2), Offset(3))
    open_history().append("events", rows(2, 3, 4, 5), Offset(5))
    history.append("events", rows(3, 5, 6), Offset(6))
    # 3 was said to be complete by the first append, though it had no row 3.
    assert offsets(history) == [1, 2, 4, 5, 6]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=6))
def test_any_order_of_repeats_and_reopenings_holds_each_row_once(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("history")
    history = DeltaHistory(folder)
    for upto, reopen in steps:
        history = DeltaHistory(folder) if reopen else history
        history.append("events", rows(*range(1, upto + 1)), Offset(upto))
    highest = max(upto for upto, _ in steps)
    assert offsets(history) == list(range(1, highest + 1))
    assert history.offset("events") == highest


def test_no_rows_still_bring_the_table_up(history):
    history.append("events", rows(), Offset(7))
    assert history.offset("events") == 7
    assert history.query("SELECT * FROM events").to_pydict() == {"offset": [], "name": []}
    assert list(history.scan("events", ["offset"], Offset(9))) == []
    history.append("events", rows(7, 8), Offset(8))
    assert offsets(history) == [8]
    history.append("events", rows(), Offset(9))
    assert (history.offset("events"), offsets(history)) == (9, [8])


def test_a_row_above_the_mark_is_refused(history):
    with pytest.raises(InvalidInput, match="offset 5, above 4"):
        history.append("events", rows(1, 5), Offset(4))
    assert history.offset("events") == 0


def test_columns_may_join_later_and_be_left_out(history):
    history.append("events", rows(1), Offset(1))
    history.append("events", rows(2, price=pa.array([2.5], pa.float64())), Offset(2))
    history.append("events", pa.table({"offset": pa.array([3], pa.int64())}), Offset(3))
    assert history.query('SELECT * FROM events ORDER BY "offset"').to_pylist() == [
        {"offset": 1, "name": "n1", "price": None},
        {"offset": 2, "name": "n2", "price": 2.5},
        {"offset": 3, "name": None, "price": None},
    ]
    scanned = pa.Table.from_batches(history.scan("events", ["price", "offset"], Offset(3)))
    assert scanned.to_pydict() == {"price": [None, 2.5, None], "offset": [1, 2, 3]}


def test_scan_is_in_offset_order_up_to_a_mark(history):
    history.append("events", rows(3, 1, 2), Offset(3))
    history.append("events", rows(9, 4), Offset(9))
    batches = list(history.scan("events", ["offset"], Offset(4)))
    assert [value for batch in batches for value in batch["offset"].to_pylist()] == [1, 2, 3, 4]
    assert list(history.scan("events", ["offset"], Offset(0))) == []
    with pytest.raises(InvalidInput, match="nothing"):
        history.scan("events", ["nothing"], Offset(4))


def test_tables_join_and_parameters_are_bound(history):
    history.append("events", rows(1, 2), Offset(2))
    history.append("transitions", rows(2, segment=pa.array(["it's"], pa.string())), Offset(2))
    sql = """
        WITH entered AS (SELECT "offset", segment FROM transitions WHERE segment = $segment)
        SELECT Events.name, entered.segment FROM Events JOIN entered USING ("offset")
    """
    assert history.query(sql, {"segment": "it's"}).to_pylist() == [{"name": "n2", "segment": "it's"}]
    assert history.query(sql, {"segment": "' OR 1=1 --"}).num_rows == 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('{outside}')",
        "SELECT * FROM read_text('{folder}/events/_delta_log/00000000000000000000.json')",
        "SELECT * FROM allowed",
        "SELECT * FROM glob('{folder}/**')",
        "SELECT * FROM read_text('{folder}/../outside.txt')",
        "COPY (SELECT 1) TO '{folder}/events/out.csv'",
        "SELECT 1; SELECT 2",
        "DROP VIEW events",
        "CREATE TABLE x AS SELECT 1",
        "INSERT INTO events VALUES (1, 'x')",
        "ATTACH '{folder}/a.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "PRAGMA version",
        "SELECT nothing FROM events",
        "SELEC 1",
        "",
    ],
)
def test_a_query_can_only_read_the_tables(history, tmp_path, sql):
    history.append("events", rows(1), Offset(1))
    (tmp_path / "outside.txt").write_text("secret")
    with pytest.raises(InvalidInput):
        history.query(sql.format(folder=tmp_path / "a shop's 100 {ü}#" / "history", outside=tmp_path / "outside.txt"))
    assert offsets(history) == [1]
    assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize("name", ["../events", "Events", "events; DROP", "", "1x", "a b"])
def test_a_wrong_table_name_is_refused(history, name):
    with pytest.raises(InvalidInput):
        history.append(name, rows(1), Offset(1))


@pytest.mark.parametrize("character", ["[", "]", "\\", "^", "|", "%", "*", "?", "\n"])
def test_a_folder_that_delta_cannot_name_is_refused(tmp_path, character):
    with pytest.raises(InvalidInput, match="its name has"):
        DeltaHistory(tmp_path / f"a{character}b")


def test_a_reader_sees_what_another_process_appends(history, open_history):
    reader = open_history()
    assert reader.offset("events") == 0
    for upto in (1, 2):
        history.append("events", rows(*range(1, upto + 1)), Offset(upto))
        assert (reader.offset("events"), offsets(reader)) == (upto, list(range(1, upto + 1)))


def test_no_text_reaches_the_statistics_of_delta(history, tmp_path):
    texts = pa.array(["household-1@example.com", "household-2@example.com"], pa.string())
    history.append("events", rows(1, 2, address=texts, price=pa.array([1.5, 2.5])), Offset(2))
    history.append("events", rows(3, later=pa.array(["household-3@example.com"], pa.string())), Offset(3))
    log = "".join(path.read_text() for path in tmp_path.rglob("_delta_log/*.json"))
    assert "example.com" not in log
    added = [json.loads(line)["add"] for line in log.splitlines() if '"add":' in line]
    assert sorted(json.loads(one["stats"])["maxValues"]["offset"] for one in added) == [2, 3]


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_appends_nothing_and_goes_on(small_disk: Path):
    ballast = small_disk / "ballast"
    history = DeltaHistory(small_disk / "history")
    history.append("events", rows(1), Offset(1))
    ballast.write_bytes(b"x" * 980_000)
    large = rows(*range(2, 60_000))
    with pytest.raises(Transient, match="no space left"):
        history.append("events", large, Offset(60_000))
    assert (history.offset("events"), offsets(history)) == (1, [1])
    ballast.unlink()
    history.append("events", large, Offset(60_000))
    assert history.query("SELECT count(*) AS n FROM events")["n"].to_pylist() == [59_999]


def test_pieces_are_the_table_in_order_with_nulls_where_a_column_is_younger(history):
    assert list(history.pieces("events")) == []
    assert history.columns("events") == []
    history.append("events", rows(2, 1), Offset(2))
    history.append("events", rows(), Offset(3))
    history.append("events", rows(5, 4, price=pa.array([2.5, None], pa.float64())), Offset(5))
    assert sorted(history.columns("events")) == ["name", "offset", "price"]
    pieces = list(history.pieces("events", coded=["name"]))
    assert [piece.n_rows for piece in pieces] == [2, 2]
    read = [piece.read(["price", "name", "offset"]) for piece in pieces]
    assert [table["offset"].to_pylist() for table in read] == [[1, 2], [4, 5]]
    assert [table["name"].to_pylist() for table in read] == [["n1", "n2"], ["n4", "n5"]]
    assert [table["price"].to_pylist() for table in read] == [[None, None], [None, 2.5]]
    assert all(pa.types.is_dictionary(table["name"].type) for table in read)
    assert [piece.greatest(["offset"]) for piece in pieces] == [[2], [5]]
    assert pieces[1].greatest(["price", "nothing", "offset"]) == [None, None, 5], "no whole numbers"


def test_the_greatest_instant_of_a_piece_is_known_without_reading_it(history):
    instants = pa.array([1_700_000_000_000_001, 1_700_000_000_000_002, -1], pa.timestamp("us", tz="UTC"))
    history.append("ticks", pa.table({"offset": [1, 2, 3], "at": instants}), Offset(3))
    (piece,) = history.pieces("ticks")
    assert piece.greatest(["offset", "at"]) == [3, 1_700_000_000_000_002]


def test_a_piece_that_was_rewritten_is_told(history, tmp_path):
    history.append("events", rows(1), Offset(1))
    (piece,) = history.pieces("events")
    for file in tmp_path.rglob("*.parquet"):
        file.unlink()
    with pytest.raises(NotFound, match="ask again"):
        piece.read(["offset"])


def newest_commit(folder: Path) -> Path:
    return max((folder / "events" / "_delta_log").glob("*.json"))


@pytest.mark.parametrize("torn", [b"", bytes(200), b'{"add":{"path":'])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_commit_that_a_power_cut_tore_is_taken_back_and_appended_again(tmp_path, torn, before):
    folder = tmp_path / "history"
    first = DeltaHistory(folder)
    for number in range(1, before + 2):
        first.append("events", rows(number), Offset(number))
    # The cut came after delta-rs had named the commit and before anything of it was synced.
    newest_commit(folder).write_bytes(torn)
    note = folder / "events" / "synced"
    note.write_text(str(before - 1)) if before else note.unlink()
    writer = DeltaHistory(folder)
    writer.append("events", rows(before + 1, before + 2), Offset(before + 2))
    assert offsets(writer) == list(range(1, before + 3))
    assert offsets(DeltaHistory(folder)) == list(range(1, before + 3))


def test_a_whole_commit_beside_a_torn_data_file_is_taken_back_too(tmp_path):
    folder = tmp_path / "history"
    first = DeltaHistory(folder)
    first.append("events", rows(1), Offset(1))
    known = set((folder / "events").glob("*.parquet"))
    first.append("events", rows(2), Offset(2))
    (file,) = set((folder / "events").glob("*.parquet")) - known
    file.write_bytes(bytes(file.stat().st_size))
    (folder / "events" / "synced").write_text("0")
    writer = DeltaHistory(folder)
    writer.append("events", rows(2), Offset(2))
    assert offsets(writer) == [1, 2]


@pytest.mark.parametrize("upkeep", [False, True])
def test_who_saw_a_commit_that_was_taken_back_sees_the_one_in_its_place(tmp_path, upkeep):
    folder = tmp_path / "history"
    writer, reader = DeltaHistory(folder), DeltaHistory(folder)
    writer.append("events", rows(1), Offset(1))
    writer.append("events", rows(2, 3), Offset(3))
    assert offsets(reader) == [1, 2, 3]
    (folder / "events" / "synced").write_text("0")  # the writer ended before its note
    again = DeltaHistory(folder)
    again.append("events", rows(2), Offset(2))
    again.append("events", rows(3), Offset(3))
    if upkeep:  # one that joins what it remembers would double rows
        reader.compact("events", Instant(0), least=2)
    assert offsets(reader) == [1, 2, 3]
    assert offsets(DeltaHistory(folder)) == [1, 2, 3]


def test_a_writer_that_lives_takes_back_what_another_left_half_done(tmp_path):
    folder = tmp_path / "history"
    writer = DeltaHistory(folder)
    writer.append("events", rows(1), Offset(1))
    DeltaHistory(folder).append("events", rows(2), Offset(2))
    (folder / "events" / "synced").write_text("0")  # that one ended before its note
    writer.append("events", rows(2, 3), Offset(3))
    assert offsets(writer) == [1, 2, 3]
    assert offsets(DeltaHistory(folder)) == [1, 2, 3]


def test_a_commit_that_was_noted_stays(tmp_path):
    folder = tmp_path / "history"
    DeltaHistory(folder).append("events", rows(1), Offset(1))
    again = DeltaHistory(folder)
    again.append("events", rows(1), Offset(1))
    assert offsets(again) == [1]
    assert newest_commit(folder).name == f"{0:020}.json"


def test_a_column_that_no_file_has_yet_is_null(history):
    text, number = pa.array([], pa.string()), pa.array([], pa.int8())
    history.append("events", rows(1), Offset(1))
    history.append("events", rows(text_currency=text, kind_currency=number), Offset(2))
    assert history.columns("events") == ["offset", "name", "text_currency", "kind_currency"]
    lacking = {"text_currency": None, "kind_currency": None}
    assert history.query("SELECT * FROM events").to_pylist() == [{"offset": 1, "name": "n1", **lacking}]
    asked = "SELECT name FROM events WHERE text_currency = 'EUR' AND kind_currency > 1"
    assert history.query(asked).to_pylist() == []
    assert [batch.to_pylist() for batch in history.stream("SELECT kind_currency FROM events")] == [
        [{"kind_currency": None}]
    ]
    history.append("events", rows(3, text_currency=pa.array(["EUR"])), Offset(3))
    read = [piece.read(["offset", "text_currency", "kind_currency"]) for piece in coded_pieces(history)]
    assert [row for table in read for row in table.to_pylist()] == [
        {"offset": 1, **lacking},
        {"offset": 3, "text_currency": "EUR", "kind_currency": None},
    ]


def coded_pieces(history):
    return history.pieces("events", ["name", "text_currency"])


# --- sessions --------------------------------------------------------------------------------------------------------


def test_a_session_answers_as_single_queries_do_over_what_it_saw_first(history, open_history):
    history.append("events", rows(1, 2), Offset(2))
    history.append("items", rows(5), Offset(5))
    with history.session() as asked:
        assert asked.offset("events") == 2
        assert asked.offset("nothing") == 0
        assert offsets(asked) == [1, 2]
        found = asked.query('SELECT name FROM events WHERE "offset" >= $least', {"least": 2})
        assert found.to_pydict() == {"name": ["n2"]}
        open_history().append("events", rows(3), Offset(3))
        assert offsets(asked) == [1, 2]
        both = 'SELECT e."offset" FROM events AS e UNION ALL SELECT i."offset" FROM items AS i ORDER BY 1'
        assert asked.query(both)["offset"].to_pylist() == [1, 2, 5]  # one more table: opened anew, and the same is seen
        assert offsets(asked, "items") == [5]
        assert offsets(asked) == [1, 2]
    with history.session() as asked:
        assert offsets(asked) == [1, 2, 3]


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW events",
        "CREATE TABLE x AS SELECT 1",
        "SET enable_external_access = true",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM nothing",
        "SELECT offest FROM events",
        "SELEC",
    ],
)
def test_a_session_is_fenced_in_and_goes_on_after_what_was_refused(history, sql):
    history.append("events", rows(1), Offset(1))
    with history.session() as asked:
        for _ in range(2):
            with pytest.raises(InvalidInput):
                asked.query(sql)
            assert offsets(asked) == [1]


def test_a_session_sees_all_anew_when_a_file_is_gone(history, open_history):
    history.append("events", rows(1, 2), Offset(2))
    history.append("events", rows(3), Offset(3))
    with history.session() as asked:
        assert offsets(asked) == [1, 2, 3]
        other = open_history()
        other.append("events", rows(4), Offset(4))
        assert other.compact("events", Instant(0), least=2) == 3
        other.vacuum("events", 0, Instant(2**60))
        assert offsets(asked) == [1, 2, 3, 4]


def test_a_session_is_closed_even_after_an_error(history):
    history.append("events", rows(1), Offset(1))
    with pytest.raises(ZeroDivisionError), history.session() as asked:  # noqa: PT012
        offsets(asked)
        _ = 1 // 0
    assert asked._connection is None
