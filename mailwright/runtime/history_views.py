"""The star-shaped views of History: for queries, and as files for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from mailwright.core.errors import InvalidInput, nearest
from mailwright.core.ports import History
from mailwright.rules.sql.star import views
from mailwright.runtime.engine import history_rows as rows
from mailwright.stores.history_queries import Star
from mailwright.stores.view_files import Format, write_view

SCHEMAS = {
    "events": rows.EVENTS,
    "belonging": rows.BELONGING,
    "transitions": rows.TRANSITIONS,
}
"""Tables that views read."""


@lru_cache(maxsize=1)
def star() -> Star:
    """What queries may name beside the tables."""
    return Star(views(), SCHEMAS)


def export_views(history: History, to: Path, kind: Format, names: Sequence[str] = ()) -> dict[str, int]:
    """Write views (none: all) below a folder, each whole and in place of what was there; rows by name.

    Raises:
        InvalidInput: If there is no such view.
    """
    known = list(views())
    if unknown := [name for name in names if name not in known]:
        raise InvalidInput.one("history.view", f"there is no view {unknown[0]!r}", hint=nearest(unknown[0], known))
    return {
        name: write_view(history.stream(f'SELECT * FROM "{name}"'), to, name, kind)  # noqa: S608 one of our names
        for name in names or known
    }
