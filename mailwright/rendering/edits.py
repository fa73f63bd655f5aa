"""Replaces stretches of Liquid in a template by marks, and marks by Liquid."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Final, Literal

from mailwright.rendering.markup import LIQUID
from mailwright.rendering.source import Piece, SourceMap

Form = Literal["word", "comment", "css", "raw", "hoisted"]

_MARK: Final = re.compile(r"<!--LQ\d{5}Q-->|/\*LQ\d{5}Q\*/|LQ\d{5}Q")


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace ``source[start:end]`` by `text`, which a mark of this form stands for during the compile."""

    start: int
    end: int
    text: str
    form: Form = "word"
    before: str = ""
    after: str = ""


def guarded(source: SourceMap, edits: list[Edit]) -> SourceMap:
    """The source with every edit's guarded text in place."""
    return _assemble(source, [(e.start, e.end, e.before + e.text + e.after) for e in edits])


def shielded(source: SourceMap, edits: list[Edit]) -> str:
    """The source with a mark in place of every edit's text; what is hoisted is left out."""
    return _assemble(source, [(e.start, e.end, _mark(i, e)) for i, e in enumerate(edits)]).text


def _assemble(source: SourceMap, changes: list[tuple[int, int, str]]) -> SourceMap:
    parts: list[str] = []
    pieces: list[Piece] = []
    place = length = 0
    for start, end, text in [*changes, (len(source.text), len(source.text), "")]:
        literal = source.text[place:start]
        pieces += [source.piece_at(place, length), source.piece_at(start, length + len(literal))]
        parts += [literal, text]
        length += len(literal) + len(text)
        place = end
    return SourceMap("".join(parts), tuple(pieces))


def _mark(index: int, edit: Edit) -> str:
    word = f"LQ{index:05d}Q"
    forms = {
        "word": word,
        "comment": f"<!--{word}-->",
        "css": f"/*{word}*/",
        "raw": f"<mj-raw><!--{word}--></mj-raw>",
        "hoisted": "",
    }
    return edit.before + forms[edit.form] + edit.after


def unshielded(compiled: str, source: SourceMap, edits: list[Edit]) -> SourceMap | None:
    """Compiled HTML with the Liquid back in place, hoisted tags first.

    None if the compiler lost or doubled a mark that stood for a tag: then the mail must be compiled per recipient.
    """
    hoisted = [(0, 0, e.text, e.start) for e in edits if e.form == "hoisted"]
    found = [(m.start(), m.end(), int((m[0].strip("<!-/*>"))[2:7])) for m in _MARK.finditer(compiled)]
    counts = [0] * len(edits)
    for _, _, index in found:
        counts[index] += 1
    if any(n != 1 for n, e in zip(counts, edits, strict=True) if e.form in ("comment", "css", "raw")):
        return None
    parts: list[str] = []
    pieces: list[Piece] = [source.piece_at(0, 0)]
    place = length = 0
    for start, end, text, origin in [*hoisted, *((s, e, edits[i].text, edits[i].start) for s, e, i in found)]:
        literal = compiled[place:start]
        parts += [literal, text]
        pieces.append(source.piece_at(origin, length + len(literal)))
        length += len(literal) + len(text)
        place = end
    return SourceMap("".join([*parts, compiled[place:]]), tuple(pieces))


def escaped_liquid(text: str) -> str:
    """Liquid text as it may stand in HTML: what is not Liquid is escaped."""
    parts: list[str] = []
    place = 0
    for found in LIQUID.finditer(text):
        parts += [html.escape(text[place : found.start()]), found[0]]
        place = found.end()
    return "".join([*parts, html.escape(text[place:])])
