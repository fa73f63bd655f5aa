"""Lists on narrow terminals: wrapped or as blocks, and never cut off."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mailwright.cli import output

COLUMNS = ("id", "what it is", "made")
ROWS = [("history:compact", "Join History's small files [now]", "2026-11-22T08:00:00Z"), ("x", "", "2026-11-22")]


def told(monkeypatch: pytest.MonkeyPatch, width: int) -> str:
    kept = io.StringIO()
    monkeypatch.setattr(output, "console", Console(file=kept, width=width, highlight=False))
    output.show_rows(COLUMNS, ROWS)
    output.show_indented("a line that wraps where there is no room for it")
    return kept.getvalue()


@pytest.mark.parametrize("width", [200, 60, 50, 49, 48, 30, 10])
def test_whatever_the_width_no_word_is_cut_off(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    text = told(monkeypatch, width)
    for word in " ".join(cell for row in ROWS for cell in row).split():
        assert word in text.split(), (width, word)
    assert "…" not in text
    assert all(line.startswith("  ") for line in text[text.index("a line") - 2 :].splitlines())


def test_a_table_is_as_wide_as_needed_and_blocks_come_where_its_words_have_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert told(monkeypatch, 200).splitlines()[1].rstrip().endswith("small files [now]  2026-11-22T08:00:00Z")
    longest = len("history:compact") + len("History's") + len("2026-11-22T08:00:00Z") + 2 * 2
    assert "made: " not in told(monkeypatch, longest)
    narrow = told(monkeypatch, longest - 1)
    assert narrow.splitlines()[:4] == [
        "id: history:compact",
        "what it is: Join History's small files [now]",
        "made: 2026-11-22T08:00:00Z",
        "",
    ]
    assert narrow.count("what it is") == 1, "what is empty has no line"
