"""Sealed values in clear text, for whoever may see them."""

from __future__ import annotations

from typing import Any

from mailwright.core.errors import Corrupt
from mailwright.web.context import WebContext
from mailwright.web.templating import value_text


def opened(context: WebContext, value: Any) -> tuple[str, bool]:
    """A value as text, and whether it was sealed; a box that cannot be opened says so."""
    if not context.sealer.is_sealed(value):
        return value_text(value), False
    try:
        return context.sealer.unseal(value), True
    except Corrupt:
        return "(sealed by a key that is not here)", True
