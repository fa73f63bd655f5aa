"""Rendered mails in a frame: their own short-lived signed address, their own policy, nothing that acts.

The frame must be a separate address: a ``srcdoc`` frame would inherit the page's policy and lose its styles. Looking at
a mail must not count as its recipient's open or click, so tracking pixels and link targets are taken out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from mailwright.core.errors import NotFound
from mailwright.core.instants import Instant
from mailwright.web.context import WebContext
from mailwright.web.security import PREVIEW_POLICY

router = APIRouter(tags=["Pages"])

_PIXEL = re.compile(r"<img\b[^>]*?/o/[A-Za-z0-9_-]+\.gif[^>]*>", re.IGNORECASE)
_LINK = re.compile(r"(<(?:a|area|form)\b[^>]*?\s)(?:href|action)\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a mail program would show of a mail. A part that the mail lacks is empty."""

    subject: str
    sender: str
    recipient: str
    html: str
    text: str
    size_bytes: int
    headers: tuple[tuple[str, str], ...]


def parts_of(body: bytes) -> Parts:
    """Take a mail apart as a mail program does."""
    message = message_from_bytes(body, policy=policy.default)
    assert isinstance(message, EmailMessage)  # noqa: S101 the default policy makes no other
    return Parts(
        subject=str(message["subject"] or ""),
        sender=str(message["from"] or ""),
        recipient=str(message["to"] or ""),
        html=_part(message, "html"),
        text=_part(message, "plain"),
        size_bytes=len(body),
        headers=tuple((name, str(value)) for name, value in message.items()),
    )


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    content = part.get_content() if part else ""
    return content if isinstance(content, str) else ""


def preview_address(context: WebContext, message_id: str) -> str:
    """An address that shows the mail for `WebSettings.preview_micros`."""
    expires_at = Instant(context.lease_clock.now() + context.settings.preview_micros)
    return f"/preview/{context.tokens.sign('preview', {'message': message_id}, expires_at)}"


def harmless(html: str) -> str:
    """The mail without its tracking pixel and with links that only tell where they lead."""
    return _LINK.sub(r"\1title=\2", _PIXEL.sub("", html))


@router.get("/preview/{token}")
def preview(request: Request, token: str) -> Response:
    """The HTML part of a mail, for a sandboxed frame. The signed address is the permission; no cookie is looked at."""
    context: WebContext = request.app.state.context
    payload = context.tokens.verify("preview", token, context.lease_clock.now())
    body = context.records.messages.body(str(payload["message"])) if isinstance(payload, dict) else None
    if body is None:
        raise NotFound("mail.body", "this mail has no body")
    response = HTMLResponse(harmless(parts_of(body).html))
    response.headers["Content-Security-Policy"] = PREVIEW_POLICY
    return response
