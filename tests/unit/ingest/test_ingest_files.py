"""Files are read row by row; what is torn, misnamed or misencoded is told with its line."""

import gzip
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput, MailwrightError
from mailwright.ingest.files import as_json, format_of, read_rows


def rows(data, format="csv", **options):
    return list(read_rows(io.BytesIO(data), format, **options))


def fault(data, format="csv", **options):
    with pytest.raises(InvalidInput) as caught:
        rows(data, format, **options)
    return caught.value.code, caught.value.issues[0].path, caught.value.issues[0].message


CSV = b'\xef\xbb\xbfid, total\r\n1,2.50\r\n\r\n"2","a\n""b"""\r\n3,\r\n'


def test_csv_rows_come_with_the_line_they_start_at():
    assert rows(CSV) == [
        (2, {"id": "1", "total": "2.50"}),
        (4, {"id": "2", "total": 'a\n"b"'}),
        (6, {"id": "3", "total": ""}),
    ]
    assert read_rows(io.BytesIO(CSV), "csv").columns == ("id", "total")
    assert rows(b"id;n\n1;2", delimiter=";") == [(2, {"id": "1", "n": "2"})]
    assert rows("name\nZo\u00eb\n".encode("cp1252"), encoding="cp1252") == [(2, {"name": "Zo\u00eb"})]


@pytest.mark.parametrize(
    ("data", "code", "path", "words"),
    [
        (b"a,b\n1,2\n3\n", "file.row", "shop.csv: line 3", "1 field, fewer than the 2 columns"),
        (b"a,b\n1,2,3\n", "file.row", "shop.csv: line 2", "3 fields, more than the 2 columns"),
        (b'a,b\n1,"x\ny"\n2,"torn\n5,6\n', "file.torn", "shop.csv: line 4", "does not end"),
        (b'a,b\n1,"' + b"x" * 200_000, "file.torn", "shop.csv: line 2", "does not end"),
        (b'a,b\n1,"x"y\n', "file.row", "shop.csv: line 2", "not valid CSV"),
        (b"a,b\n1,\xff\n", "file.encoding", "shop.csv: line 2", "byte 3 (0xff) is not utf-8"),
        ("a,b\n1,2\n".encode("utf-16")[:-1], "file.encoding", "shop.csv: line 2", "is not utf-16"),
        (b"a," + b"x" * (5 << 20), "file.torn", "shop.csv: line 1", "longer than 4 MiB"),
        (b"", "file.columns", "shop.csv: line 1", "does not name every column"),
        (b"a,,c\n", "file.columns", "shop.csv: line 1", "does not name every column"),
        (b"a,b,a\n", "file.columns", "shop.csv: line 1", "'a' is there twice"),
    ],
)
def test_a_faulty_csv_is_explained(data, code, path, words):
    found = fault(data, name="shop.csv")
    assert found[:2] == (code, path)
    assert words in found[2]


def test_a_wrong_delimiter_is_told():
    found = fault(b"a;b;c\n1;2;3\n", name="shop.csv", delimiter=",")
    assert found == ("file.columns", "shop.csv: line 1", "one column only: 'a;b;c'")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiter_and_encoding_are_found(delimiter, encoding):
    text = delimiter.join(['"a,;|"', "b", "c"]) + "\r\n" + delimiter.join(["1", "Zo\u00eb", '"x\ny"']) + "\n\n2"
    text += delimiter * 2
    expected = [(2, {"a,;|": "1", "b": "Zo\u00eb", "c": "x\ny"}), (5, {"a,;|": "2", "b": "", "c": ""})]
    assert rows(text.encode(encoding)) == expected


PACKERS = {"gz": gzip.compress, "zst": zstandard.compress}


@pytest.mark.parametrize("suffix", PACKERS)
def test_compressed_files(suffix):
    text = b"a,b\n" + b"".join(b"%d,%s\n" % (n, b"x" * 50) for n in range(20_000))
    pack = PACKERS[suffix]
    data = pack(text[:300_000]) + pack(text[300_000:])  # of two members, as log rotation makes them
    name = f"shop.csv.{suffix}"
    assert rows(data, name=name) == rows(text)
    code, path, words = fault(data[:-50], name=name)
    assert (code, "ends too early" in words or "broken" in words) == ("file.torn", True)
    assert int(path.rpartition(" ")[2]) > 1
    assert fault(b"no archive", name=name)[:2] == ("file.torn", f"{name}: line 1")
    assert format_of(name) == "csv"
    bomb = pack(b"0" * (64 << 20))
    assert fault(bomb, name=name)[0] == "file.torn"


def test_faulty_rows_can_be_told_and_left_out():
    told = []
    good = rows(b'a,b\n1,2\n3\n"x"y,1\n5,6\n', on_fault=told.append)
    assert good == [(2, {"a": "1", "b": "2"}), (5, {"a": "5", "b": "6"})]
    assert [issue.path for issue in told] == ["line 3", "line 4"]


def test_json_lines():
    told = []
    data = b'{"id": 1, "x": [1.5]}\n\n[1]\n{"id": NaN}\n{"id": 2}'
    assert rows(data, "jsonl", on_fault=told.append) == [(1, {"id": 1, "x": [1.5]}), (5, {"id": 2})]
    assert [issue.path for issue in told] == ["line 3", "line 4"]
    assert fault(data, "jsonl")[:2] == ("file.row", "line 3")


def parquet(columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_parquet_values_become_json_values():
    data = parquet(
        {
            "id": [1, None],
            "at": pa.array([datetime(2026, 1, 1, 12, tzinfo=UTC), None]),
            "naive": pa.array([datetime(2026, 1, 1, 12), None]),
            "on": pa.array([date(2026, 1, 1), None]),
            "price": pa.array([Decimal("2.50"), Decimal("3.00")]),
            "x": [float("nan"), 0.5],
            "tags": [["a"], []],
            "line": [{"n": Decimal("1.00")}, None],
        }
    )
    first, second = (
        {"id": 1, "at": "2026-01-01T12:00:00Z", "naive": "2026-01-01T12:00:00", "on": "2026-01-01", "price": 2.5}
        | {"x": None, "tags": ["a"], "line": {"n": 1}},
        {"id": None, "at": None, "naive": None, "on": None, "price": 3, "x": 0.5, "tags": [], "line": None},
    )
    assert rows(data, "parquet") == [(1, first), (2, second)]
    assert read_rows(io.BytesIO(data), "parquet").columns == tuple(first)


def test_numbers_that_are_none_are_missing():
    odd = [Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), float("inf"), Decimal("2.50"), Decimal(3)]
    assert [as_json(one) for one in odd] == [None, None, None, None, 2.5, 3]


def test_a_torn_parquet_file_is_explained():
    data = parquet({"id": list(range(1000))})
    assert fault(data[:-8], "parquet", name="p.parquet")[:2] == ("file.parquet", "p.parquet: line 1")
    broken = data[:4] + b"\xff" * 200 + data[204:]
    assert fault(broken, "parquet")[0] == "file.parquet"


def test_the_suffix_tells_the_format():
    assert [format_of(name) for name in ("a/B.CSV", "x.jsonl", "x.ndjson", "x.parquet")] == [
        "csv",
        "jsonl",
        "jsonl",
        "parquet",
    ]
    with pytest.raises(InvalidInput, match=r"'\.xlsx' tells no known format"):
        format_of("x.xlsx")


@settings(max_examples=100, deadline=None)
@given(
    data=st.binary(max_size=120) | st.text(alphabet='a,"\n;1', max_size=60).map(str.encode),
    format=st.sampled_from(["csv", "jsonl"]),
)
def test_any_bytes_give_rows_or_one_error(data, format):
    try:
        found = rows(data, format)
    except MailwrightError:
        return
    assert [line for line, _ in found] == sorted({line for line, _ in found})
