"""How fast mail is rendered: compile, render, links, MIME, and what the parts cost beside each other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

from mailwright.core.instants import Instant
from mailwright.rendering.links import rewrite_links
from mailwright.rendering.mime import Mail, assemble
from mailwright.rendering.template import compile_template, parse_template

_TEMPLATES = Path(__file__).parent.parent / "tests/golden/templates"
_ON = "weekly_offers with four items, one core"


def rows(repeats: int = 200) -> list[dict[str, Any]]:
    """One row per measured thing: what, on, figure, unit, beside."""
    template = parse_template("weekly_offers", (_TEMPLATES / "weekly_offers.mjml").read_text("utf-8"))
    variables = json.loads((_TEMPLATES / "variables.json").read_text("utf-8"))["weekly_offers"]
    compiled = compile_template(template)
    rendered = compiled.render(variables)
    mail = _mail(rendered.html, rendered.text)

    def whole() -> None:
        one = compiled.render(variables)
        assemble(_mail(*rewrite_links(one.html, one.text, lambda url: f"https://t.example.com/{hash(url)}", None)))

    compile_s = _seconds(lambda: compile_template(template), max(1, repeats // 10))
    render_s = _seconds(lambda: compiled.render(variables), repeats)
    links_s = _seconds(
        lambda: rewrite_links(rendered.html, rendered.text, lambda url: url + "?t", "https://p/"), repeats
    )
    mime_s = _seconds(lambda: assemble(mail), repeats)
    standard_s = _seconds(lambda: _standard(mail), max(1, repeats // 10))
    return [
        _row("compile a template", compile_s * 1e3, "ms", "once per version"),
        _row("render subject, preheader, HTML and text", 1 / render_s, "mails/s", f"{len(rendered.html):,} B of HTML"),
        _row("rewrite links", links_s * 1e3, "ms", "per mail"),
        _row("assemble the bytes", mime_s * 1e3, "ms", f"email.message.EmailMessage: {standard_s * 1e3:.2f} ms"),
        _row("whole mail: render, links, bytes", 1 / _seconds(whole, repeats), "mails/s", "single process"),
    ]


def _row(what: str, figure: float, unit: str, beside: str) -> dict[str, Any]:
    return {"what": what, "on": _ON, "figure": round(figure, 3), "unit": unit, "beside": beside}


def _mail(html: str, text: str) -> Mail:
    return Mail(
        message_id="a1b2@mail.example.com",
        date_at=Instant(1_795_338_000_000_000),
        from_name="The Corner Shop",
        from_address="news@shop.example.com",
        to_address="ada@example.com",
        subject="Strawberries are back",
        html=html,
        text=text,
        unsubscribe_url="https://mail.example.com/u/abc123",
    )


def _standard(mail: Mail) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = mail.from_address, mail.to_address, mail.subject
    message.set_content(mail.text, cte="base64")
    message.add_alternative(mail.html, subtype="html", cte="base64")
    return message.as_bytes()


def _seconds(run: Callable[[], object], repeats: int) -> float:
    """Best of three rounds, so that a busy neighbour counts less."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(repeats):
            run()
        best = min(best, (time.perf_counter() - start) / repeats)
    return best
