"""The TagRecords port."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from mailwright.core.instants import DAY, Instant
from mailwright.stores.records_sql import SqlRecords


def _change(records, added, removed=(), known=(), known_at=0, now=1_000, owner="anna"):
    return records.tags.change(
        owner, Instant(now), known=list(known), known_at=Instant(known_at), added=added, removed=removed
    )


@pytest.mark.parametrize(
    ("known", "added", "removed", "after"),
    [
        ([], ["a"], [], ["a"]),
        (["a"], ["a"], [], ["a"]),
        (["x", "b"], ["a"], ["b"], ["x", "a"]),
        (["b"], ["b"], ["b"], ["b"]),
        (["x"], [], ["y"], ["x"]),
    ],
)
def test_tags_of_other_answers_come_off_and_all_others_stay(records, known, added, removed, after):
    assert _change(records, added, removed, known) == (after, 1_000)


def test_a_change_finds_the_one_before_until_the_engine_knows_something_newer(records):
    assert _change(records, ["a"], known=["x"], known_at=500) == (["x", "a"], 1_000)
    assert _change(records, ["b"], known=["x"], known_at=500) == (["x", "a", "b"], 1_001)
    assert _change(records, ["c"], known=["x", "a"], known_at=1_000) == (["x", "a", "b", "c"], 1_002)
    assert _change(records, ["d"], known=["other"], known_at=1_002) == (["other", "d"], 1_003)
    assert _change(records, ["e"], known=["late"], known_at=9_000, now=8_000) == (["late", "e"], 9_001)
    assert _change(records, ["z"], owner="berta") == (["z"], 1_000)


def test_what_is_older_than_a_week_is_forgotten(records):
    _change(records, ["a"], now=1)
    _change(records, ["b"], owner="berta", now=7 * DAY + 2)
    assert _change(records, ["c"], now=7 * DAY + 2) == (["c"], 7 * DAY + 2)


def test_changes_of_one_moment_are_all_kept_in_the_newest_list(records, records_url):
    with SqlRecords.open(records_url) as second, ThreadPoolExecutor(8) as pool:
        both = [records, second]
        told = list(pool.map(lambda n: _change(both[n % 2], [str(n)]), range(40)))
    stamps = [at for _, at in told]
    assert sorted(stamps) == list(range(1_000, 1_040))
    newest, _ = max(told, key=lambda each: each[1])
    assert sorted(newest, key=int) == [str(n) for n in range(40)]
