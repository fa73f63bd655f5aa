"""Rows of CSV, JSON lines and Parquet files, one at a time, with the line at which each fault is.

The caller opens the file; here it is only a binary stream. A text file's delimiter and encoding are found where its
first bytes tell them (a byte order mark, the line of column names); Latin-1 and its like cannot be told from UTF-8 that
is broken, so they must be named.
"""

from __future__ import annotations

import codecs
import csv
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from pathlib import PurePath
from typing import Any, BinaryIO, Literal

import msgspec

from mailwright.core.errors import InvalidInput, Issue
from mailwright.core.instants import format_iso, from_datetime
from mailwright.core.words import counted
from mailwright.ingest.packed import TornFile, packing_of, unpacked
from mailwright.ingest.wire import DECODE_ERRORS, in_words

Format = Literal["csv", "jsonl", "parquet"]
Row = tuple[int, dict[str, Any]]
OnFault = Callable[[Issue], None]

_SUFFIXES: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_BATCH_ROWS = 10_000
_LINE_BYTES = 4 << 20  # a longer line is no row: a file without line breaks, or one that inflates without end
_DELIMITERS = ",;\t|"
_SNIFFED_BYTES = 4096
_HTML = re.compile(r"<(!doctype html|html|head|body|title|meta|script|div|p|h1)\b", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of a file as (line, fields); line counts from 1, in Parquet rows do.

    Attributes:
        columns: Names of the columns; None for JSON lines, where every row has its own.
    """

    columns: tuple[str, ...] | None
    rows: Iterator[Row]

    def __iter__(self) -> Iterator[Row]:
        return self.rows


def format_of(name: str) -> Format:
    """The format by a file name's suffix, before ``.gz`` or ``.zst`` if it ends so.

    Raises:
        InvalidInput: If it is none that is known.
    """
    packing = packing_of(name)
    suffix = PurePath(name[: -len(packing) - 1] if packing else name).suffix.lower()
    if packing and _SUFFIXES.get(suffix) == "parquet":
        message = "a Parquet file is compressed inside; one that is compressed as a whole cannot be read"
        raise InvalidInput.one("file.format", message, path=name, hint=f"unpack it: {PurePath(name).stem}")
    if suffix not in _SUFFIXES:
        raise InvalidInput.one(
            "file.format",
            f"{suffix or 'no suffix'!r} tells no known format",
            path=name,
            hint=f"known: {', '.join(_SUFFIXES)}",
        )
    return _SUFFIXES[suffix]


def read_rows(
    stream: BinaryIO,
    format: Format,
    *,
    name: str = "",
    delimiter: str = "",
    encoding: str = "",
    on_fault: OnFault | None = None,
    nulls: bool = False,
) -> Rows:
    """Read a file row by row.

    Args:
        stream: At its start; Parquet needs one that can seek.
        format: See `format_of`.
        name: Of the file, for messages.
        delimiter: Between the fields of a CSV; empty: comma, semicolon, tab or bar, as the first line tells.
        encoding: Of a text file; empty: UTF-8, or UTF-16 if a byte order mark says so.
        nulls: JSON lines that are ``null`` are passed over, as an empty line is.
        on_fault: Told of each row that cannot be read, which is then left out; None raises at the first.

    Raises:
        InvalidInput: While iterating: ``file.row`` for a row; ``file.encoding``, ``file.torn``, ``file.columns`` and
            ``file.parquet`` for what makes all that follows doubtful, whatever `on_fault`.
    """
    reading = _Reading(name, on_fault)
    if format == "parquet":
        return _parquet(stream, reading)
    lines = _lines(unpacked(stream, packing_of(name)), encoding, reading)
    if format == "csv":
        first = next(lines, "")
        return _csv(chain([first], lines), delimiter or _delimiter(first), reading)
    return Rows(columns=None, rows=_json_lines(lines, reading, nulls=nulls))


def _delimiter(first: str) -> str:
    """The delimiter that stands most often between the names of the first line; a comma if there is none."""
    bare = _QUOTED.sub("", first[:_SNIFFED_BYTES])
    return max(_DELIMITERS, key=bare.count)


@dataclass(frozen=True, slots=True)
class _Reading:
    name: str
    on_fault: OnFault | None

    def fault(self, line: int, message: str, hint: str = "") -> None:
        """A row cannot be read."""
        issue = self._issue(line, message, hint)
        if self.on_fault is None:
            raise InvalidInput("file.row", [issue])
        self.on_fault(issue)

    def stop(self, code: str, line: int, message: str, hint: str) -> InvalidInput:
        """The file cannot be read on."""
        return InvalidInput(code, [self._issue(line, message, hint)])

    def _issue(self, line: int, message: str, hint: str) -> Issue:
        return Issue(path=f"{self.name}: line {line}" if self.name else f"line {line}", message=message, hint=hint)


def _lines(stream: BinaryIO, encoding: str, reading: _Reading) -> Iterator[str]:
    number = 0
    try:
        head = stream.readline(_LINE_BYTES)
        if head.startswith(_UTF16_BOMS) and encoding in ("", "utf-16", "utf-8"):
            number = 1
            for line in _utf16(head, stream):
                yield line
                number += 1
            return
        encoding = encoding or "utf-8"
        raw = head.removeprefix(_UTF8_BOM)
        while raw:
            number += 1
            if len(raw) >= _LINE_BYTES - len(_UTF8_BOM) and not raw.endswith(b"\n"):
                message = f"the line is longer than {_LINE_BYTES >> 20} MiB"
                raise reading.stop("file.torn", number, message, "is this a text file with line breaks?")
            yield raw.decode(encoding)
            raw = stream.readline(_LINE_BYTES)
    except LookupError:
        hint = "name one, such as cp1252 (Western Europe, as Excel writes it)"
        raise reading.stop("file.encoding", 1, f"there is no encoding {encoding!r}", hint) from None
    except UnicodeDecodeError as error:
        at = f"byte {error.start + 1} (0x{error.object[error.start]:02x})"
        raise reading.stop(
            "file.encoding",
            number or 1,
            f"{at} is not {error.encoding}",
            "save the file as UTF-8, or say its encoding, such as cp1252 (Western Europe, as Excel writes it)",
        ) from None
    except TornFile as error:
        raise reading.stop("file.torn", number + 1, str(error), "fetch or pack the file again") from None


def _utf16(head: bytes, stream: BinaryIO) -> Iterator[str]:
    """Lines of UTF-16, whose line breaks are two bytes; of a broken one the decoder tells the place in its piece."""
    decoder = codecs.getincrementaldecoder("utf-16")()
    rest = decoder.decode(head)
    while piece := stream.read(_LINE_BYTES):
        *lines, rest = (rest + decoder.decode(piece)).split("\n")
        yield from (f"{line}\n" for line in lines)
    *lines, rest = (rest + decoder.decode(b"", final=True)).split("\n")
    yield from (f"{line}\n" for line in lines)
    if rest:
        yield rest


# --- CSV -------------------------------------------------------------------------------------------------------------


def _csv(lines: Iterator[str], delimiter: str, reading: _Reading) -> Rows:
    records = _records(csv.reader(lines, delimiter=delimiter, strict=True), reading)
    _, header = next(records, (1, []))
    columns = tuple(name.strip() for name in header)
    _check_columns(columns, delimiter, reading)
    return Rows(columns=columns, rows=_csv_rows(records, columns, reading))


def _csv_rows(records: Iterator[tuple[int, list[str]]], columns: tuple[str, ...], reading: _Reading) -> Iterator[Row]:
    for line, fields in records:
        if len(fields) == len(columns):
            yield line, dict(zip(columns, fields, strict=True))
        elif fields:  # an empty line is none
            more = "more" if len(fields) > len(columns) else "fewer"
            reading.fault(
                line,
                f"{counted(len(fields), 'field')}, {more} than the {counted(len(columns), 'column')} of the first line",
                "is the file cut off, or a field with a delimiter or line break not in quotes?",
            )


def _records(reader: Any, reading: _Reading) -> Iterator[tuple[int, list[str]]]:
    """(line of its start, fields) of each record; a quoted field may span lines."""
    while True:
        start = reader.line_num + 1
        try:
            yield start, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            text = str(error)
            if "unexpected end of data" in text or "field limit" in text:
                message = "a quoted field that begins in this row does not end"
                raise reading.stop("file.torn", start, message, "is a quote missing, or the file cut off?") from None
            reading.fault(start, f"not valid CSV: {text}", 'write a quote inside a quoted field twice: ""')


def _check_columns(columns: tuple[str, ...], delimiter: str, reading: _Reading) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if columns and (other := _other_than_names(columns[0])):
        message, hint = f"the first line is no header: the file looks like {other}", "look into it; fetch it again"
    elif not columns or not all(columns):
        message, hint = "the first line does not name every column", "the first line must hold the column names"
    elif twice:
        message, hint = f"the column {twice[0]!r} is there twice", "give every column its own name"
    elif len(columns) == 1 and any(other in columns[0] for other in ";\t|" if other != delimiter):
        message, hint = f"one column only: {columns[0][:60]!r}", "is the delimiter another one?"
    else:
        return
    raise reading.stop("file.columns", 1, message, hint)


def _other_than_names(first: str) -> str:
    """What a text looks like that begins as no column's name does; empty for one that may be a name."""
    if first.startswith("<"):
        return "an HTML page" if _HTML.match(first) else "XML"
    return "JSON, whose lines are read from a .jsonl file" if first.startswith(("{", "[{")) else ""


# --- JSON lines and Parquet ------------------------------------------------------------------------------------------


def _json_lines(lines: Iterator[str], reading: _Reading, *, nulls: bool) -> Iterator[Row]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    for number, line in enumerate(lines, 1):
        if not line.strip() or (nulls and line.strip() == "null"):
            continue
        try:
            row = decoder.decode(line)
        except DECODE_ERRORS as error:
            reading.fault(number, in_words(error)[1], "write one JSON object per line")
        else:
            yield number, row


def _parquet(stream: BinaryIO, reading: _Reading) -> Rows:
    import pyarrow as pa  # here: it takes a third of a second that no other format needs
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(stream)
    except pa.ArrowException as error:
        raise reading.stop("file.parquet", 1, f"not a whole Parquet file ({error})", "is it cut off?") from None

    def rows() -> Iterator[Row]:
        number = 0
        try:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield number, {name: as_json(value) for name, value in row.items()}
        except (pa.ArrowException, OSError) as error:
            raise reading.stop("file.parquet", number + 1, f"cannot be read on ({error})", "is it torn?") from None

    columns = tuple(file.schema_arrow.names)
    _check_columns(columns, "", reading)
    return Rows(columns=columns, rows=rows())


def as_json(value: Any) -> Any:
    """A Parquet value as a JSON one: times as ISO 8601 in UTC, decimals as numbers, NaN and infinity as missing."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case datetime():
            return format_iso(from_datetime(value)) if value.tzinfo else value.isoformat()
        case date():
            return value.isoformat()
        case Decimal():
            if not value.is_finite():
                return None
            return int(value) if value == value.to_integral_value() else float(value)
        case list():
            return [as_json(each) for each in value]
        case dict():
            return {key: as_json(each) for key, each in value.items()}
        case str() | int() | None:
            return value
    return str(value)
