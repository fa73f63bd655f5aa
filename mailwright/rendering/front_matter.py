"""Template files: YAML front matter with subject, preheader and perhaps a text part, then MJML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

from mailwright.core.errors import InvalidInput, nearest
from mailwright.rendering.source import Piece, SourceMap

_FRONT_MATTER: Final = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_FIELDS: Final = ("subject", "preheader", "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What an author writes. `subject`, `preheader` and `text` are Liquid; `mjml` is MJML with Liquid.

    Attributes:
        text: The text part; None: derived from the MJML.
        path: The file, for messages.
        source: The whole file, and `offsets` where each field's value begins in it, for carets.
    """

    name: str
    subject: str
    mjml: str
    preheader: str = ""
    text: str | None = None
    path: str = ""
    source: str = field(default="", repr=False)
    offsets: Mapping[str, int] = field(default_factory=dict, repr=False)

    def part(self, name: str) -> SourceMap:
        """One field's text, knowing where it was written."""
        text = str(getattr(self, name) or "")
        offset = self.offsets.get(name, 0)
        path = self.path or self.name
        if self.source[offset : offset + len(text)] == text:
            return SourceMap(text, (Piece(start=0, path=path, text=self.source, offset=offset),))
        return SourceMap.of(text, path if name == "mjml" else f"{path}: {name}")


def parse_template(name: str, text: str, path: str = "") -> Template:
    """Read a template file: YAML front matter between ``---`` lines, then MJML.

    Raises:
        InvalidInput: ``template.front_matter``, if the front matter is missing, no YAML, without a subject, or has
            an unknown field.
    """
    path = path or f"templates/{name}.mjml"
    found = _FRONT_MATTER.match(text)
    whole = SourceMap.of(text, path)
    if found is None:
        hint = "begin the file with ---, subject: ..., preheader: ..., ---"
        raise InvalidInput("template.front_matter", [whole.issue(0, 3, "the template has no front matter", hint)])
    values, offsets = _front_matter(found[1], found.start(1), whole)
    return Template(
        name=name,
        subject=values["subject"],
        preheader=values.get("preheader", ""),
        text=values.get("text"),
        mjml=text[found.end() :],
        path=path,
        source=text,
        offsets={**offsets, "mjml": found.end()},
    )


def _front_matter(block: str, start: int, whole: SourceMap) -> tuple[dict[str, str], dict[str, int]]:
    def fault(offset: int, length: int, message: str, hint: str = "") -> InvalidInput:
        return InvalidInput("template.front_matter", [whole.issue(offset, length, message, hint)])

    try:
        node = yaml.compose(block, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        hint = 'put a value with Liquid in quotes: subject: "Hello {{ name }}"'
        raise fault(start + (mark.index if mark else 0), 1, f"no YAML: {error.problem}", hint) from None
    values: dict[str, str] = {}
    offsets: dict[str, int] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        place, size = start + key.start_mark.index, key.end_mark.index - key.start_mark.index
        if key.value not in _FIELDS:
            raise fault(place, size, f"unknown field {key.value!r}", nearest(str(key.value), _FIELDS))
        if not isinstance(value, yaml.ScalarNode):
            raise fault(place, size, f"{key.value} is no text", 'put a value with Liquid in quotes: "{{ name }}"')
        values[key.value] = value.value
        offsets[key.value] = start + value.start_mark.index + (1 if value.style in ("'", '"') else 0)
    if not values.get("subject", "").strip():
        raise fault(start, 1, "the front matter has no subject", "add a line subject: ...")
    return values, offsets
