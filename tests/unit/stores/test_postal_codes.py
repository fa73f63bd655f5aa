"""A table of postal codes: read once, asked by key, and what forms make of it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mailwright.ingest.forms.answers import Checked, Means
from mailwright.ingest.forms.checks import check_field
from mailwright.ingest.forms.definitions import FormDefinition
from mailwright.stores.postal_codes import PostalTable

ROWS = [
    ("DE", "10115", "Berlin", "Land Berlin", "", "", ""),
    ("DE", "50667", "Köln", "Nordrhein-Westfalen", "", "Köln, Stadt", ""),
    ("DE", "60311", "Frankfurt am Main", "Hessen", "", "", ""),
    ("DE", "86650", "Wemding", "Bayern", "", "", ""),
    ("DE", "91809", "Wellheim", "Bayern", "", "", ""),
    ("DE", "82362", "Weilheim", "Bayern", "", "", ""),
    ("DE", "99998", "Körner", "Thüringen", "", "", ""),
    ("DE", "99998", "Weinbergen", "Thüringen", "", "", ""),
    ("GB", "SW1A", "London", "England", "", "Greater London", ""),
    ("NL", "1012", "Amsterdam", "Noord-Holland", "", "Amsterdam", ""),
    ("US", "11201", "Brooklyn", "New York", "NY", "Kings", ""),
    ("CA", "K1A", "Ottawa", "Ontario", "ON", "", ""),
    ("SE", "111 20", "Stockholm", "Stockholm", "", "", ""),
    ("CH", "2502", "Biel/Bienne", "Kanton Bern", "", "", ""),
    ("FR", "75008 CEDEX 08", "Paris", "", "", "", ""),
]


def _line(country: str, code: str, name: str, *around: str) -> str:
    cells = [country, code, name, *around]
    return "\t".join([*cells, *[""] * (12 - len(cells))]) + "\n"


@pytest.fixture
def table(tmp_path: Path) -> Iterator[PostalTable]:
    path = tmp_path / "codes.txt"
    path.write_text("".join(_line(*row) for row in ROWS), encoding="utf-8")
    made = PostalTable(path, tmp_path / "data" / "postal_codes.sqlite")
    yield made
    made.close()


FORM = msgspec.convert(
    {
        "title": "T",
        "fields": [
            {"trait": "email", "label": "E", "type": "email", "required": True},
            {"trait": "land", "label": "C", "type": "country"},
            {"trait": "zip", "label": "P", "type": "postal_code"},
            {"trait": "town", "label": "T", "type": "city"},
        ],
        "country": "DE",
    },
    FormDefinition,
)


def _check(table: PostalTable | None, trait: str, answers: dict[str, Any]) -> Checked:
    field = FORM.field(trait)
    assert field is not None
    return check_field(FORM, field, answers.get(trait), answers, Means(places=table))


@pytest.mark.parametrize(
    ("country", "code", "good"),
    [("DE", "10115", True), ("DE", "10999", False), ("GB", "sw1a 1aa", True), ("GB", "EC1A 1BB", False),
     ("NL", "1012 ab", True), ("NL", "1099 AB", False), ("US", "11201-1234", True), ("US", "99999", False),
     ("CA", "K1A 0B1", True), ("SE", "11120", True), ("SE", "111 21", False), ("FR", "75008", True),
     ("PL", "99-999", True), ("XX", "12345", True), ("", "10999", False)],
)  # fmt: skip
def test_a_postal_code_is_there_or_its_country_is_not_known(
    table: PostalTable, country: str, code: str, good: bool
) -> None:
    found = _check(table, "zip", {"land": country, "zip": code})
    assert bool(found.value) is good
    assert good or "there is no postal code" in found.fault


@pytest.mark.parametrize(
    ("code", "city", "suggestion"),
    [("50667", "Köln", ""), ("50667", "KOELN", ""), ("50667", "koln", ""), ("10115", "Berlim", "Berlin"),
     ("60311", "Frankfurt", ""), ("60311", "Frankfurt/Main", ""), ("60311", "Frankfurt a. M.", "Frankfurt am Main"),
     ("91809", "Welheim", "Wellheim"), ("99998", "Weinbergen", ""), ("99998", "Körner", ""),
     ("11111", "Anything", ""), ("", "Anything", "")],
)  # fmt: skip
def test_spellings_short_names_and_slips_are_taken(table: PostalTable, code: str, city: str, suggestion: str) -> None:
    found = _check(table, "town", {"zip": code, "town": city})
    assert (found.value, found.fault, found.suggestion) == (city, "", suggestion)


@pytest.mark.parametrize(
    ("country", "code", "city"),
    [("US", "11201", "New York"), ("GB", "SW1A 1AA", "london"), ("CH", "2502", "Bienne"), ("FR", "75008", "Paris")],
)
def test_what_a_place_lies_in_and_its_other_names_are_right_too(
    table: PostalTable, country: str, code: str, city: str
) -> None:
    assert _check(table, "town", {"land": country, "zip": code, "town": city}).value == city


@pytest.mark.parametrize(
    ("code", "city", "says", "suggestion"),
    [("10115", "Köln", "10115 belongs to Berlin", "Berlin"), ("50667", "Kölm", "50667 belongs to Köln", "Köln"),
     ("50667", "Xyzzy", "belongs to Köln", "Köln"), ("99998", "Berlin", "belongs to Körner, Weinbergen", ""),
     ("91809", "Weilheim", "belongs to Wellheim", "Wellheim")],
)  # fmt: skip
def test_a_city_of_another_postal_code_is_refused_with_what_is_right(
    table: PostalTable, code: str, city: str, says: str, suggestion: str
) -> None:
    found = _check(table, "town", {"zip": code, "town": city})
    assert says in found.fault
    assert found.suggestion == suggestion


def test_without_a_table_the_shape_alone_is_checked() -> None:
    assert _check(None, "zip", {"zip": "10999"}).value == "10999"
    assert _check(None, "town", {"zip": "10999", "town": "Köln"}).value == "Köln"


def test_a_table_is_read_once_until_it_changes(table: PostalTable, tmp_path: Path) -> None:
    path, cache = tmp_path / "codes.txt", tmp_path / "data" / "postal_codes.sqlite"
    assert table.at("DE", "10115") == (["Berlin"], ["Land Berlin"])
    made = cache.stat().st_mtime_ns
    assert PostalTable(path, cache).knows("DE")
    assert cache.stat().st_mtime_ns == made
    path.write_text(_line("AT", "1010", "Wien"), encoding="utf-8")
    anew = PostalTable(path, cache)
    assert (anew.knows("DE"), anew.knows("AT"), anew.is_city("AT", "wien")) == (False, True, True)
    assert table.knows("DE")  # a process that runs keeps what it opened
    assert [each.name for each in cache.parent.iterdir()] == [cache.name]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"DE\t10115\tBerlin\n", "line 1 has 3 columns, not 12"),
        (_line("DE", "1", "A").encode() + _line("Germany", "1", "A").encode(), "line 2 does not begin with country"),
        (_line("DE", "", "A").encode(), "line 1 does not begin with country"),
        (b"\xff\xfe", "cannot be read"),
        (None, "cannot be used"),
    ],
)
def test_a_broken_table_is_told_and_refuses_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: bytes | None, says: str
) -> None:
    path = tmp_path / "codes.txt"
    if text is not None:
        path.write_bytes(text)
    with caplog.at_level(logging.WARNING):
        table = PostalTable(path, tmp_path / "data" / "x.sqlite")
        assert not table.knows("DE")
        assert table.at("DE", "10115") == ([], [])
    assert [says in line for line in caplog.messages] == [True]
    assert not list((tmp_path / "data").glob("*")) if (tmp_path / "data").is_dir() else True


def test_a_damaged_database_is_told_once_dropped_and_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, cache = tmp_path / "codes.txt", tmp_path / "data" / "x.sqlite"
    path.write_text("".join(_line("DE", f"{n:05}", f"Ort {n}") for n in range(3_000)), encoding="utf-8")
    whole = PostalTable(path, cache)
    whole.open()
    whole.close()
    data = bytearray(cache.read_bytes())
    for page in range(4096, len(data), 4096):
        if b"1 " + str(path.stat().st_size).encode() not in data[page : page + 4096]:  # it says what it is made of
            data[page : page + 4096] = b"\xfe" * 4096
    cache.write_bytes(data)
    table = PostalTable(path, cache)
    with caplog.at_level(logging.WARNING):
        assert not table.knows("DE")
        assert table.at("DE", "00007") == ([], [])
        assert _check(table, "zip", {"land": "DE", "zip": "99999"}).value == "99999"
    assert ["is damaged" in line for line in caplog.messages] == [True]
    assert not cache.exists()
    assert PostalTable(path, cache).at("DE", "00007")[0] == ["Ort 7"]


def test_a_database_is_on_the_disk_before_it_is_in_its_place(
    table: PostalTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        sync(handle)

    def replaced(old: Path, new: Path) -> None:
        done.append("in place")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    table.open()
    assert done == [f"postal_codes.sqlite.{os.getpid()}", "in place", "data"]


BIG = """
import re, sys, time
from pathlib import Path
from mailwright.stores.postal_codes import PostalTable
def peak():  # in KB; not ru_maxrss, which begins at that of the process that started this one
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
at = time.process_time()
table = PostalTable(Path(sys.argv[1]), Path(sys.argv[2]))
table.open()
spent = time.process_time() - at
assert table.at("XA", "0500000")[0] == ["Place 500000"], table.at("XA", "0500000")
assert table.is_city("XA", "place 999999") and not table.knows("DE")
at = time.process_time()
for n in range(0, 1_000_000, 100):
    table.at("XA", f"{n:07}")
asked = (time.process_time() - at) / 10_000
grown = peak() - before
print(f"{grown / 1024:.0f} {spent:.2f} {asked * 1e6:.0f}")
"""


@pytest.mark.slow
def test_a_million_rows_take_little_memory(tmp_path: Path) -> None:
    path, cache = tmp_path / "big.txt", tmp_path / "big.sqlite"
    command = [sys.executable, "-c", BIG, str(path), str(cache)]
    with path.open("w") as stream:
        stream.writelines(_line("XA", f"{n:07}", f"Place {n}", "Region", "R", "County") for n in range(1_000_000))
    for what in ("made", "opened"):
        told = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout
        grown, spent, asked = told.split()
        size = cache.stat().st_size >> 20
        print(f"{what}: {grown} MB more, {spent} s of CPU, {asked} us a question, {size} MB on disk")
        assert int(grown) < 80
