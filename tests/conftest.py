"""What holds for all tests: their order, that no terminal's size is inherited, and how properties draw examples."""

from __future__ import annotations

import importlib
import os
import pkgutil

import pytest
from hypothesis import HealthCheck, settings

import mailwright

for name in ("COLUMNS", "LINES"):  # a console made under both would keep their size; readline exports them to workers
    os.environ.pop(name, None)

# No property fails for want of time on a loaded machine, and none reads what another process or an earlier run found.
settings.register_profile(
    "search",
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# Every run draws from one seed, so that a commit is judged by what it changed; `search` draws new examples. (A file run
# alone may see others than in a full run: Hypothesis also takes constants from the loaded modules of tests.)
settings.register_profile("steady", settings.get_profile("search"), derandomize=True)
settings.load_profile("steady")


def pytest_collection_finish() -> None:
    """Load the whole package: Hypothesis draws constants of what is loaded, whatever ran before."""
    for module in pkgutil.walk_packages(mailwright.__path__, "mailwright."):
        if not module.name.endswith((".__main__", ".env")):  # a program, and what Alembic runs in its own context
            importlib.import_module(module.name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with whole-program runs come first: where cores share the files, a long one begun last keeps all waiting.

    Among themselves both kinds stay in the random order that they have.
    """
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)
