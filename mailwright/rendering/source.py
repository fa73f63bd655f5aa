"""Where a character of an assembled template was written: file, line and column."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from mailwright.core.errors import Issue, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of the assembled text that begins at `start` and was written at `offset` of a file's `text`."""

    start: int
    path: str
    text: str = field(repr=False)
    offset: int = 0


@dataclass(frozen=True, slots=True)
class SourceMap:
    """The text that is compiled, and the files it was put together from (snippets may be included).

    Attributes:
        text: The assembled text.
        pieces: In ascending order of `start`; the first starts at 0.
    """

    text: str = field(repr=False)
    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, text: str, path: str) -> SourceMap:
        """A text that stands alone."""
        return cls(text, (Piece(start=0, path=path, text=text),))

    def piece_at(self, offset: int, start: int) -> Piece:
        """The piece that holds `offset`, cut to begin there and moved to `start` of another text."""
        piece = self._holding(offset)
        return Piece(start=start, path=piece.path, text=piece.text, offset=piece.offset + offset - piece.start)

    def _holding(self, offset: int) -> Piece:
        return self.pieces[max(0, bisect_right(self.pieces, offset, key=lambda p: p.start) - 1)]

    def issue(self, offset: int, length: int, message: str, hint: str = "") -> Issue:
        """A fault at an offset of the assembled text, told in the terms of the file that holds it."""
        piece = self._holding(offset)
        place = min(piece.offset + offset - piece.start, len(piece.text))
        row_start = piece.text.rfind("\n", 0, place) + 1
        row_end = piece.text.find("\n", place)
        room = (len(piece.text) if row_end < 0 else row_end) - place
        span = Span(
            line=piece.text.count("\n", 0, place) + 1,
            column=place - row_start + 1,
            length=max(1, min(length, room)),
        )
        return Issue(path=piece.path, message=message, hint=hint, span=span, source=piece.text)
