"""Markdown out of docstrings and tables."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_SECTION = re.compile(r"^(Attributes|Args|Returns|Raises|Yields|Source):", re.MULTILINE)
_ENTRY = re.compile(r"^(\w+):\s*(.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doc:
    """A docstring taken apart: its prose, and the entries of its sections by name (``Attributes``, ``Raises``)."""

    text: str = ""
    sections: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The first paragraph."""
        return self.text.partition("\n\n")[0]


def doc_of(thing: object) -> Doc:
    """The docstring of a class or function, not an inherited one."""
    own = vars(thing).get("__doc__") if isinstance(thing, type) else getattr(thing, "__doc__", None)
    return parse_doc(own or "")


def parse_doc(text: str) -> Doc:
    """Take a Google docstring apart."""
    clean = inspect.cleandoc(text)
    parts = _SECTION.split(clean)
    sections = {name: _entries(body) for name, body in zip(parts[1::2], parts[2::2], strict=True)}
    return Doc(text=plain(parts[0].strip()), sections=sections)


def _entries(body: str) -> dict[str, str]:
    entries: dict[str, list[str]] = {}
    name = ""
    for line in inspect.cleandoc(body).splitlines():
        found = _ENTRY.match(line)
        if found:
            name = found[1]
            entries[name] = [found[2]]
        elif name and line.strip():
            entries[name].append(line.strip())
    return {name: plain(" ".join(lines)) for name, lines in entries.items()}


def plain(text: str) -> str:
    """Docstring markup as Markdown: double backticks become single ones."""
    return re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars and line breaks in cells are escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """Text as inline code; nothing for nothing."""
    return f"`{text}`" if text else ""


def sentence(text: str) -> str:
    """The first paragraph on one line."""
    return " ".join(text.partition("\n\n")[0].split())
