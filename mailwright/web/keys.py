"""Write keys as clients send them: Basic auth with the key as user name, or a bearer token."""

from __future__ import annotations

import base64
import binascii


def write_key(authorization: str | None) -> str | None:
    """The key in an Authorization header; None if there is none that can be read.

    Segment libraries send ``Basic base64(key + ":")``.
    """
    scheme, _, told = (authorization or "").strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return told.strip() or None
        case "basic":
            try:
                text = base64.b64decode(told.strip(), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return None
            return text.partition(":")[0] or None
        case _:
            return None
