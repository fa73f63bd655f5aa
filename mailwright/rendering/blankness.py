"""``x == blank`` is true when `x` is nothing: nil, false or undefined.

Shopify's Liquid and every guide for marketers say so; python-liquid 2.3 compares only texts and lists with ``blank``,
and a mail would greet a person without a name. The comparison is settled once, when a template is parsed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from liquid import Expression
from liquid.builtin.expressions.logical import EqExpression, NeExpression
from liquid.builtin.expressions.primitive import Blank
from liquid.undefined import is_undefined

if TYPE_CHECKING:
    from liquid import Node, RenderContext


class NothingIsBlank(Expression):
    """An expression whose value is compared with ``blank``: nothing becomes the empty text, which is blank."""

    __slots__ = ("inner",)

    def __init__(self, inner: Expression) -> None:
        super().__init__(inner.token)
        self.inner = inner

    def evaluate(self, context: RenderContext) -> object:
        """The value, or the empty text for nil, false and undefined."""
        value = self.inner.evaluate(context)
        return "" if value is None or value is False or is_undefined(value) else value

    def children(self) -> list[Expression]:
        """The wrapped expression, for static analysis."""
        return [self.inner]


def settle_blank(nodes: Iterable[Node], context: RenderContext) -> None:
    """Rewrite all comparisons with ``blank`` below these nodes."""
    for node in nodes:
        for expression in node.expressions():
            _settle(expression)
        settle_blank(node.children(context, include_partials=False), context)


def _settle(expression: Expression) -> None:
    if isinstance(expression, EqExpression | NeExpression):
        if isinstance(expression.right, Blank):
            expression.left = NothingIsBlank(expression.left)
        elif isinstance(expression.left, Blank):
            expression.right = NothingIsBlank(expression.right)
    for child in expression.children():
        _settle(child)
