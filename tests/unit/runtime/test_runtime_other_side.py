"""What another system counted: a fault has its place. One monitor's fault loses no other's findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwright.core.errors import InvalidInput, NotFound
from mailwright.core.findings import Finding
from mailwright.reports.quality.definitions import BROKEN, QualityDefinition, Reconciliation
from mailwright.reports.quality.monitors import LOOKS
from mailwright.reports.quality.past import Past
from mailwright.runtime.quality import watch
from mailwright.runtime.quality.other_side import other_side

ASKED = Reconciliation(event="Order Completed", value="total", file="books.csv")


def told(folder: Path, text: str | bytes, asked: Reconciliation = ASKED) -> object:
    (folder / "books.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return other_side(folder, "books", asked)


def test_days_counts_and_sums_are_read(tmp_path: Path) -> None:
    text = "\ufeffday,count,sum,more\r\n2026-11-20,3,10.5,x\r\n2026-11-21T00:00:00,2,,\r\n"
    assert told(tmp_path, text) == {"2026-11-20": (3.0, 10.5), "2026-11-21": (2.0, None)}
    counted = Reconciliation(event="Order Completed", file="books.csv")
    assert told(tmp_path, "day,count\n2026-11-20,3\n", counted) == {"2026-11-20": (3.0, None)}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("date,count,sum\n2026-11-21,1,2\n", "books.csv:1: the file has no column 'day'"),
        ("day,count\n2026-11-21,1\n", "books.csv:1: the file has no column 'sum'"),
        ("", "books.csv:1: the file has no column 'day'"),
        ("day,count,sum\n2026-11-20,1,2\n2026-11-21,many,2\n", "books.csv:3: the count 'many' is no number"),
        ("day,count,sum\n2026-11-21,1,nan\n", "books.csv:2: the sum 'nan' is no number"),
        ("day,count,sum\n2026-11-21,,2\n", "books.csv:2: there is no count"),
        ("day,count,sum\n21.11.2026,1,2\n", "books.csv:2: '21.11.2026' is no day"),
        ("day,count,sum\n2026-02-30,1,2\n", "books.csv:2: '2026-02-30' is no day"),
        ("day,count,sum\n,1,2\n", "books.csv:2: '' is no day"),
        ("day,count,sum\n2026-11-21,1,2\n2026-11-21,1,2\n", "books.csv:3: 2026-11-21 comes twice"),
        (b"day,count,sum\n\xff\xfe,1,2\n", "books.csv: it cannot be read as CSV"),
    ],
)
def test_a_fault_has_its_file_and_line(tmp_path: Path, text: str | bytes, fault: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        told(tmp_path, text)
    assert fault in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"books\.csv"):
        other_side(tmp_path, "books", ASKED)


def test_one_monitors_fault_loses_no_others_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Finding(monitor="volume", subject="a", severity="warning", message="m", example="e", suggestion="s")

    def broken(past: Past, definition: QualityDefinition) -> list[Finding]:
        raise ValueError("anna@maple.example")

    monkeypatch.setattr(
        watch, "LOOKS", {**dict.fromkeys(LOOKS, lambda *_: iter([])), "volume": lambda *_: iter([seen])}
    )
    monkeypatch.setitem(watch.LOOKS, "missing", broken)
    found, unsure, failed = watch._looked(None, QualityDefinition())  # type: ignore[arg-type] # nobody looks at it
    assert [(one.monitor, one.subject) for one in found] == [("volume", "a"), (BROKEN, "missing")]
    assert (unsure, failed) == (["missing"], ["missing: ValueError"])
    assert "anna" not in found[1].message
