"""Which pages are made from the code, and how a block inside a page that is written by hand is replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tools.reference import (
    commands_page,
    definitions_page,
    errors_page,
    history_page,
    http_page,
    messages_page,
    ports_page,
    rules_page,
    settings_page,
)
from tools.reference.layers import ROOT, imports_table

NOTE = "<!-- Made from the code by `make docs`. Do not edit. -->"

PAGES: Mapping[str, Callable[[], str]] = {
    "docs/reference/settings.md": settings_page.page,
    "docs/reference/commands.md": commands_page.page,
    "docs/reference/definitions.md": definitions_page.page,
    "docs/reference/rules.md": rules_page.page,
    "docs/reference/http.md": http_page.page,
    "docs/reference/messages.md": messages_page.page,
    "docs/reference/errors.md": errors_page.page,
    "docs/reference/ports.md": ports_page.page,
    "docs/reference/history.md": history_page.page,
}

BLOCKS: Mapping[tuple[str, str], Callable[[], str]] = {
    ("docs/architecture.md", "imports"): imports_table,
}
"""(page, name of the block) -> what stands between ``<!-- made: NAME -->`` and ``<!-- end: NAME -->``."""


def made_files(root: Path = ROOT) -> dict[str, str]:
    """Path -> text as it should be, for every page that is made or holds a made block."""
    files = {path: f"{NOTE}\n\n{make()}\n" for path, make in PAGES.items()}
    for (path, name), make in BLOCKS.items():
        text = files.get(path) or (root / path).read_text(encoding="utf-8")
        files[path] = with_block(text, name, make())
    return files


def with_block(text: str, name: str, block: str) -> str:
    """`text` with its block `name` replaced.

    Raises:
        ValueError: If the page has no such block.
    """
    start, end = f"<!-- made: {name} -->", f"<!-- end: {name} -->"
    before, opened, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise ValueError(f"there is no block between {start} and {end}")
    return f"{before}{start}\n{block}\n{end}{after}"


def outdated(root: Path = ROOT) -> list[str]:
    """Paths of pages that are not as the code would make them."""
    return [path for path, text in made_files(root).items() if _present(root / path) != text]


def write(root: Path = ROOT) -> list[str]:
    """Write what is out of date and return the paths."""
    changed = outdated(root)
    for path, text in made_files(root).items():
        if path in changed:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
    return changed


def _present(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
