"""What holds for all tests: the order in which they run, and that no terminal's size is inherited."""

from __future__ import annotations

import os

import pytest

for name in ("COLUMNS", "LINES"):  # a console made under both would keep their size; readline exports them to workers
    os.environ.pop(name, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with whole-program runs come first: where cores share the files, a long one begun last keeps all waiting.

    Among themselves both kinds stay in the random order that they have.
    """
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)
