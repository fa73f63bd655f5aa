"""From text to syntax tree: ``parse("did 'Order Completed' within 30 days")``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from mailwright.core.errors import InvalidInput, Span
from mailwright.rules import syntax as s
from mailwright.rules.build import BUILDERS, Fault
from mailwright.rules.slips import explain

MAX_LENGTH = 20_000
MAX_DEPTH = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A rule with the place of each of its nodes, inner ones first; equal nodes come once per place.

    `open_filters` are the joined filters that stand without brackets, where it is easy to mistake where they end.
    """

    expression: s.Expression
    places: tuple[tuple[s.Expression, Span], ...]
    open_filters: tuple[s.And | s.Or, ...] = ()

    def span(self, node: s.Expression) -> Span | None:
        """Where `node` (or the first one equal to it) stands in the text."""
        return next((span for found, span in self.places if found == node), None)


def parse(text: str, *, path: str = "") -> s.Expression:
    """The tree of a rule or value written in the rule language.

    Args:
        text: At most 20,000 characters, nested at most 60 deep; keywords in any case; ``#`` starts a comment.
        path: Where the text comes from, for the message (``segments.yaml: vip.rule``).

    Raises:
        InvalidInput: ``rule.syntax``, with a caret at the fault, what could stand there, and a hint.
    """
    return locate(text, path=path).expression


def locate(text: str, *, path: str = "") -> Located:
    """Like `parse`, with the places of the nodes, which later checks need to point at what is wrong."""
    if len(text) > MAX_LENGTH:
        message = f"the rule has {len(text):,} characters; at most {MAX_LENGTH:,} are read"
        raise InvalidInput.one("rule.syntax", message, path=path, hint="split it into attributes and segments")
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        found = explain(error, text)
        raise InvalidInput.one(
            "rule.syntax", found.message, path=path, hint=found.hint, span=found.span, source=text
        ) from None
    return _build(tree, text, path)


@cache
def _parser() -> Lark:
    grammar = files("mailwright.rules").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", propagate_positions=True, maybe_placeholders=True)


def _build(tree: Tree[Token], text: str, path: str) -> Located:
    made: dict[int, Any] = {}
    places: list[tuple[s.Expression, Span]] = []
    for part in tree.iter_subtrees():  # inner ones first, without recursion
        span = _span(part)
        try:
            value = BUILDERS[part.data](
                *(made[id(child)] if isinstance(child, Tree) else child for child in part.children)
            )
        except Fault as fault:
            raise InvalidInput.one(
                "rule.syntax", fault.message, path=path, hint=fault.hint, span=span, source=text
            ) from None
        made[id(part)] = value
        if isinstance(value, s.Node):
            places.append((value, span))  # type: ignore[arg-type]  # only windows are nodes beside expressions
    expression = made[id(tree)]
    if max(depth for _, depth in _walk(expression)) > MAX_DEPTH:
        message = f"the rule is nested more than {MAX_DEPTH} deep"
        raise InvalidInput.one("rule.syntax", message, path=path, hint="split it into attributes and segments")
    filters = (made[id(part)].value for part in tree.iter_subtrees() if part.data == "where")
    return Located(
        expression=expression,
        places=tuple(places),
        open_filters=tuple(each for each in filters if isinstance(each, s.And | s.Or)),
    )


def _walk(expression: s.Expression) -> Iterator[tuple[s.Expression, int]]:
    waiting = [(expression, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting += [(child, depth + 1) for child in s.children(node)]


def _span(part: Tree[Token]) -> Span:
    meta = part.meta
    if meta.empty:
        return Span(line=1, column=1)
    same_line = meta.line == meta.end_line
    return Span(line=meta.line, column=meta.column, length=meta.end_column - meta.column if same_line else 1)
