"""Opening a project for one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailwright.runtime.installation import Installation, open_installation
from mailwright.runtime.settings import load_settings


@contextmanager
def opened(project: Path) -> Iterator[Installation]:
    """The stores of the project in a folder, closed at the end."""
    there = open_installation(load_settings(project))
    try:
        yield there
    finally:
        there.close()
