"""docs/reference/settings.md: every setting with type, default, variable and help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from mailwright.runtime import settings
from tools.reference.markdown import Doc, code, doc_of, sentence, table
from tools.reference.types import default_text, type_text

HEAD = """Settings stand in `mailwright.toml` of the project folder, under `[section]` headings. A variable of the
environment wins over the file: `MAILWRIGHT__DOOR__PORT=8080` sets `port` of `[door]`. An unknown key is an error that
names the nearest right one. Settings are read when a process starts; definitions are put in force by `mailwright
apply` instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One ``[section]`` of the settings."""

    name: str
    doc: Doc
    fields: dict[str, msgspec.structs.FieldInfo]


def sections() -> Iterator[Section]:
    """All sections in their order."""
    for field in msgspec.structs.fields(settings._Sections):
        kind: Any = field.type
        fields = {one.encode_name: one for one in msgspec.structs.fields(kind)}
        yield Section(name=field.encode_name, doc=doc_of(kind), fields=fields)


def page() -> str:
    """The page's text."""
    return "\n\n".join(["# Settings", HEAD, *(_section(section) for section in sections())])


def _section(section: Section) -> str:
    help_of = section.doc.sections.get("Attributes", {})
    rows = [
        (
            code(name),
            type_text(msgspec.inspect.type_info(field.type)),
            default_text(field),
            help_of.get(name, ""),
            code(f"MAILWRIGHT__{section.name}__{name}".upper()),
        )
        for name, field in section.fields.items()
    ]
    grid = table(("key", "type", "default", "what it is", "variable"), rows)
    return f"## [{section.name}]\n\n{sentence(section.doc.text)}\n\n{grid}"
