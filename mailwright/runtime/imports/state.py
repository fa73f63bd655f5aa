"""What the next run of a declared import must know, and what lists show of the newest."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from mailwright.core.durations import duration_micros
from mailwright.core.instants import Instant
from mailwright.core.ports import MetaRecords
from mailwright.ingest.imports import CursorColumn


class FileSeen(msgspec.Struct, frozen=True, array_like=True):
    """A file that was imported: unchanged as long as size and time are, and else if its bytes are."""

    size: int
    mtime_ns: int
    digest: str


class FeedSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A feed that was read from an address.

    Attributes:
        meaning: Digest of what becomes of its fields: for another one it is read anew.
        digest: Of its bytes; empty if none were read.
        etag: What the answer called this version; `modified` since when it is so. Empty if it did not say.
    """

    meaning: str
    digest: str = ""
    etag: str = ""
    modified: str = ""


class ImportState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """After a run.

    Attributes:
        n_run: How many runs there were.
        digest: Of the definition; another one reads everything anew.
        cursor: Greatest value of the cursor column, as (kind, text).
        files: Path -> what was imported.
        feed: The feed that was read last, if it has an address.
        ran_at: When the newest run was done, on the project's clock.
        n_rows: Rows that the newest run read; `n_things` came in, `n_deleted` of them for deleted rows.
        n_faults: Faults of rows that it left out; `n_held` events the tracking plan holds back.
        n_passed_over: Rows that were no fault and yet nothing to take.
    """

    n_run: int = 0
    digest: str = ""
    cursor: tuple[str, str] | None = None
    files: dict[str, FileSeen] = {}
    feed: FeedSeen | None = None
    ran_at: Instant = Instant(0)
    n_rows: int = 0
    n_things: int = 0
    n_deleted: int = 0
    n_faults: int = 0
    n_held: int = 0
    n_passed_over: int = 0


def read_state(meta: MetaRecords, name: str) -> ImportState:
    """Of a declared import; a new one's if it never ran."""
    told = meta.get(f"imports.{name}")
    return msgspec.json.decode(told, type=ImportState) if told else ImportState()


def write_state(meta: MetaRecords, name: str, state: str) -> None:
    """Remember what a run says, JSON of an `ImportState`."""
    meta.put(f"imports.{name}", state)


# --- cursors ---------------------------------------------------------------------------------------------------------


def cursor_text(value: Any) -> tuple[str, str]:
    """A database's value as it is kept."""
    match value:
        case datetime():
            return ("instant" if value.tzinfo else "naive"), value.isoformat()
        case date():
            return "date", value.isoformat()
        case bool() | int():
            return "int", str(int(value))
        case float() | Decimal():
            return "number", str(value)
    return "text", str(value)


def cursor_start(kept: tuple[str, str], cursor: CursorColumn) -> Any:
    """The value from which a run reads on, as the database takes it: the greatest so far, less the overlap."""
    kind, text = kept
    step = timedelta(microseconds=duration_micros(cursor.overlap)) if isinstance(cursor.overlap, str) else timedelta(0)
    less = cursor.overlap if isinstance(cursor.overlap, int | float) else 0
    match kind:
        case "instant" | "naive":
            return datetime.fromisoformat(text) - step
        case "date":
            return date.fromisoformat(text) - step
        case "int":
            return int(text) - int(less)
        case "number":
            return Decimal(text) - Decimal(str(less))
    return _earlier_text(text, step) if step else text


def _earlier_text(text: str, step: timedelta) -> str:
    """A time that a database keeps as text, written the same way."""
    try:
        at = datetime.fromisoformat(text) - step
    except ValueError:
        return text
    zone = "Z" if text.endswith("Z") else ""
    if zone:
        at = at.astimezone(UTC).replace(tzinfo=None)
    width = len(text.removesuffix("Z"))
    separator = text[10] if width > 10 else "T"
    return at.isoformat(separator, "microseconds")[:width] + zone
