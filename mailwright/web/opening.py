"""Sealed values in clear text, for whoever may see them."""

from __future__ import annotations

from typing import Any

from mailwright.privacy.sealing import UNREADABLE
from mailwright.web.context import WebContext
from mailwright.web.templating import value_text


def opened(context: WebContext, value: Any) -> tuple[str, bool]:
    """A value as text, and whether anything in it was sealed; a box that cannot be opened says so."""
    clear = context.sealer.opened(value, UNREADABLE)
    return value_text(clear), clear is not value
