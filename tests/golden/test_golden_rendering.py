"""Mail as it was looked at and found right: HTML, text part and bytes of each case."""

import json
from pathlib import Path

import pytest

from mailwright.core.instants import parse_iso
from mailwright.rendering.links import rewrite_links
from mailwright.rendering.mime import Mail, assemble
from mailwright.rendering.template import compile_template, missing_variables, parse_template

TEMPLATES = Path(__file__).parent / "templates"
CASES = json.loads((TEMPLATES / "variables.json").read_text("utf-8"))


def compiled(name):
    return compile_template(parse_template(name, (TEMPLATES / f"{name}.mjml").read_text("utf-8")))


@pytest.mark.parametrize("case", CASES)
def test_the_mail_is_what_it_was(case, golden):
    rendered = compiled(case.partition(".")[0]).render(CASES[case])
    targets = []

    def link_for(url):
        targets.append(url)
        return f"https://mail.example.com/c/{len(targets)}"

    html, text = rewrite_links(rendered.html, rendered.text, link_for, "https://mail.example.com/o/1.gif")
    mail = Mail(
        message_id="golden@mail.example.com",
        date_at=parse_iso("2026-11-22T09:30:00Z"),
        from_name="The Corner Shop",
        from_address="news@shop.example.com",
        to_address="household-1@example.com",
        subject=rendered.subject,
        html=html,
        text=text,
        unsubscribe_url="https://mail.example.com/u/abc123",
        list_id="offers.shop.example.com",
        feedback_id="weekly:shop",
    )
    assert rendered.blanks == ()
    golden(f"{case}.html", rendered.html.encode())
    golden(f"{case}.txt", rendered.text.encode())
    golden(f"{case}.eml", assemble(mail))


@pytest.mark.parametrize("name", sorted(path.stem for path in TEMPLATES.glob("*.mjml")))
def test_every_template_is_compiled_once_and_can_be_left(name):
    template = compiled(name)
    assert template.per_recipient == ()
    assert {"unsubscribe_url", "sender.postal_address"} <= template.variables
    assert missing_variables(template, template.variables) == []
