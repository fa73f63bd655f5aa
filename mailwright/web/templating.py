"""Templates, the filters they use, and static files. Auto-escaping is on everywhere; no template marks data as safe."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from mailwright.core.instants import DAY, HOUR, MINUTE, Instant, format_iso, to_datetime
from mailwright.core.messages import MessageState

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
BUNDLE = STATIC / "bundle"

_log = logging.getLogger(__name__)


class CachedStatic(StaticFiles):
    """Static files; their address carries a digest of the content, so browsers may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, kept for a year when it was asked for by its digest."""
        response = await super().get_response(path, scope)
        versioned = b"v=" in scope.get("query_string", b"")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        return response


def make_environment() -> Environment:
    """The Jinja environment of the pages; says in the log when the bundle is missing."""
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    bundled = (BUNDLE / "charts.js").is_file() and (BUNDLE / "pages.js").is_file()
    if not bundled:
        _log.warning("the browser bundle is missing: pages show tables for charts; run `npm ci && node build.mjs`")
    environment.globals |= {
        "static": _static_address,
        "bundled": bundled,
        "forms_script": (BUNDLE / "forms.js").is_file(),
        "states": list(MessageState),
    }
    environment.filters |= {
        "number": number,
        "percent": percent,
        "value": value_text,
        "span": span_text,
        "words": words,
        "score": score_text,
        "web_url": web_url,
        "state_kind": state_kind,
        "rule_parts": rule_parts,
    }
    return environment


def _static_address(name: str) -> str:
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def page_response(request: Request, template: str, values: Mapping[str, Any], status: int = 200) -> HTMLResponse:
    """Render a page with what every page needs: who is signed in, times in the project's zone, the note of a demo."""
    state = request.app.state
    context = state.context
    user = getattr(request.state, "user", None)
    zone = context.project.zone

    text = state.templates.get_template(template).render(
        project=context.project,
        user=user,
        csrf=getattr(request.state, "csrf", ""),
        path=request.url.path,
        note=context.records.meta.get("demo.note") if user else None,
        when=lambda at: when(at, zone),
        fragment=request.headers.get("hx-request") == "true",
        **values,
    )
    return HTMLResponse(text, status)


def when(at: Instant | None, zone: tzinfo) -> dict[str, str]:
    """An instant for machines (``iso``) and for people in the shop's zone (``text``); a dash for none."""
    if at is None:
        return {"iso": "", "text": "–"}
    local = to_datetime(at).astimezone(zone)
    return {"iso": format_iso(at), "text": f"{local.day} {local:%b %Y, %H:%M}"}


def number(value: float | None) -> str:
    """12,345 or 1,234.5; a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.4g}"
    return f"{int(value):,}"


def score_text(value: float) -> str:
    """A model's score to three digits: scores of one list are compared, not added."""
    return f"{value:.3g}"


def percent(value: float | None) -> str:
    """A share as 12.3 %; a dash for nothing."""
    return "–" if value is None else f"{value * 100:.1f} %"


def value_text(value: Any) -> str:
    """A JSON-shaped value for people: lists joined, text as it is, objects as JSON."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return number(value)
        case str():
            return value
        case list() if all(isinstance(part, str | int | float | bool) for part in value):
            return ", ".join(value_text(part) for part in value) or "–"
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)


def span_text(micros: int) -> str:
    """A duration by its largest fitting unit: 3 days, 2 hours, 5 minutes."""
    for unit, size in (("day", DAY), ("hour", HOUR), ("minute", MINUTE), ("second", 1_000_000)):
        n = micros // size
        if n:
            return f"{n} {unit}" if n == 1 else f"{n} {unit}s"
    return "now"


def words(name: str) -> str:
    """``no_consent`` as no consent."""
    return name.replace("_", " ")


def web_url(text: Any) -> str:
    """The address if a browser may follow it from our pages, else ``#``: scripts and data are no addresses."""
    scheme = urlsplit(str(text).strip()).scheme.lower() if text else ""
    return str(text).strip() if scheme in {"http", "https", "mailto", "tel"} else "#"


_RULE = re.compile(
    r"(?P<text>'(?:[^']|'')*'|`(?:[^`]|``)+`)|(?P<note>\#[^\n]*)|(?P<number>\b\d[\d.,T:Z+-]*%?)"
    r"|(?P<joint>\b(?:and|or|not|then|where|within|in|of|at|least|most|exactly|for|over|by|with|when|else|end)\b)"
    r"|(?P<word>\b(?:did|count|sum|average|minimum|maximum|min|max|distinct|first|last|frequent|time|since|score"
    r"|segment|trait|attribute|list|rate|age|is|known|missing|between|contains|starts|ends|matches|times?|true|false"
    r"|case|half-life|anniversary|days?|hours?|minutes?|weeks?|months?|years?|today|this|everyone)\b)",
    re.IGNORECASE,
)
"""Only for colour: a word inside an event's name may be coloured too."""


def rule_parts(text: str) -> list[tuple[str, str]]:
    """A rule cut into (kind, text) for colouring; kind is empty for the rest. Joined they are the text again."""
    parts: list[tuple[str, str]] = []
    end = 0
    for match in _RULE.finditer(text):
        parts += [("", text[end : match.start()]), (f"rule-{match.lastgroup}", match[0])]
        end = match.end()
    return [part for part in [*parts, ("", text[end:])] if part[1]]


_KINDS = {
    MessageState.SENT: "good",
    MessageState.FAILED: "bad",
    MessageState.UNKNOWN: "bad",
    MessageState.SUPPRESSED: "warn",
    MessageState.EXPIRED: "warn",
    MessageState.CANCELLED: "warn",
}


def state_kind(state: str) -> str:
    """Which colour a message's state has: good, bad, warn or plain."""
    return _KINDS.get(MessageState(state), "plain")
