"""Compiling once and filling in Liquid afterwards gives the same mail as filling in first and compiling then."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mjml import mjml2html

from mailwright.rendering.liquid_environment import LiquidEnvironment, TemplateEnvironment
from mailwright.rendering.template import Template, compile_template, parse_template

TEMPLATES = Path(__file__).parents[2] / "golden" / "templates"


class Shape(HTMLParser):
    """Tags with their attributes, and text, without comments and white space."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, sorted((k, " ".join((v or "").split())) for k, v in attrs)))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        self.seen.append("/" + tag)

    def handle_data(self, data):
        words = " ".join(data.split())
        if words and self.seen and isinstance(self.seen[-1], str) and self.seen[-1].startswith("'"):
            self.seen[-1] += " " + words
        elif words:
            self.seen.append("'" + words)


# A rule for a column that this recipient does not get is in the mail compiled once, and does nothing.
COLUMN_RULES = re.compile(r"<style[^>]*>[^<]*mj-column-per[^<]*</style>")


def shape(html):
    html = COLUMN_RULES.sub("", html)
    parser = Shape()
    parser.feed(html)
    parser.close()
    return parser.seen


def page(body, head=""):
    return f"<mjml><mj-head><mj-title>T</mj-title>{head}</mj-head><mj-body>{body}</mj-body></mjml>"


def column(block):
    return page(f"<mj-section><mj-column>{block}</mj-column></mj-section>")


def liquid_first(mjml, variables):
    """The meaning: plain Liquid, then the MJML compiler, neither of them touched by marks or guards."""
    mjml = mjml.replace("n &gt; 1", "n > 1")
    rendered = LiquidEnvironment(TemplateEnvironment(), {}, escape=True).from_string(mjml).render(**variables)
    return mjml2html(rendered, fonts={}, social_icon_origin="about:blank#")


VARIABLES = [
    {"a": True, "x": "one", "n": 3, "url": "https://example.com/?a=1&b=2", "color": "#123456", "items": [1, 2, 3]},
    {"a": False, "x": "<b>&\"'", "n": 0, "url": "https://example.com/", "color": "red", "items": []},
    {"a": None, "x": "LQ00000Q", "n": -1, "url": "tel:+1", "color": "rgb(1,2,3)", "items": ["x"]},
]

ONCE = {
    "text": column("<mj-text>Hello {{ x }}, <b>{{ x | upcase }}</b></mj-text>"),
    "condition in text": column("<mj-text>a {% if a %}<i>{{ x }}</i>{% else %}no{% endif %} b</mj-text>"),
    "comparison in text": column("<mj-text>{% if n > 1 and n < 9 %}some{% endif %}</mj-text>"),
    "written as entity": column("<mj-text>{% if n &gt; 1 %}many{% endif %}</mj-text>"),
    "loop in text": column("<mj-text>{% for i in items %}{{ i }}<br />{% endfor %}</mj-text>"),
    "loop of rows": column("<mj-table>{% for i in items %}<tr><td>{{ i }}</td></tr>{% endfor %}</mj-table>"),
    "rows between rows": column(
        "<mj-table><tr><th>h</th></tr>{% if a %}<tr><td>{{ x }}</td></tr>{% endif %}<tr><td>z</td></tr></mj-table>"
    ),
    "loop of cells": column("<mj-table><tr>{% for i in items %}<td>{{ i }}</td>{% endfor %}</tr></mj-table>"),
    "link": column('<mj-button href="{{ url }}">{{ x }}</mj-button>'),
    "link with a path": column('<mj-button href="https://x.example/{{ n }}?a=1&amp;b=2">go</mj-button>'),
    "choice of link": column('<mj-button href="{% if a %}{{ url }}{% else %}https://x/{% endif %}">go</mj-button>'),
    "image": column('<mj-image src="{{ url }}" alt="{{ x }}" width="100px" href="{{ url }}" />'),
    "colours": column('<mj-text color="{{ color }}" font-size="{{ n }}px">a</mj-text>'),
    "class": page('<mj-section css-class="c{{ n }}"><mj-column><mj-text>a</mj-text></mj-column></mj-section>'),
    "background": page('<mj-section background-url="https://x.example/{{ n }}.png"><mj-column /></mj-section>'),
    "quotes in quotes": column('<mj-text color="{{ color | default: "red" }}">a</mj-text>'),
    "sections": page(
        "{% if a %}<mj-section><mj-column><mj-text>{{ x }}</mj-text></mj-column></mj-section>{% endif %}"
        "<mj-section><mj-column><mj-text>end</mj-text></mj-column></mj-section>"
    ),
    "loop of sections": page(
        "{% for i in items %}<mj-section><mj-column><mj-text>{{ i }}</mj-text></mj-column></mj-section>{% endfor %}"
    ),
    "blocks": column("{% if a %}<mj-text>a</mj-text>{% else %}<mj-divider />{% endif %}<mj-spacer />"),
    "loop of blocks": column("{% for i in items %}<mj-text>{{ i }}</mj-text>{% endfor %}"),
    "columns with widths": page(
        '<mj-section>{% for i in items %}<mj-column width="33.33%"><mj-text>{{ i }}</mj-text></mj-column>{% endfor %}'
        "</mj-section>"
    ),
    "wrapper": page(
        "<mj-wrapper>{% if a %}<mj-section><mj-column><mj-text>w</mj-text></mj-column></mj-section>{% endif %}"
        "<mj-section><mj-column><mj-text>v</mj-text></mj-column></mj-section></mj-wrapper>"
    ),
    "hero": page("<mj-hero>{% if a %}<mj-text>{{ x }}</mj-text>{% endif %}</mj-hero>"),
    "assigned in the body": page(
        "{% assign y = x | append: '!' %}<mj-section><mj-column><mj-text>{{ y }}</mj-text></mj-column></mj-section>"
    ),
    "assigned before": "{% assign y = n | plus: 1 %}" + column("<mj-text>{{ y }}</mj-text>"),
    "assigned in the head": page(
        "<mj-section><mj-column><mj-text>{{ y }}</mj-text></mj-column></mj-section>", "{% assign y = 3 %}"
    ),
    "style": page("", "<mj-style>.a { color: {{ color }} } {% if a %}.b { color: red }{% endif %}</mj-style>"),
    "title": page("", "").replace("T<", "{{ x }}<"),
    "preview": page("", "<mj-preview>{{ x }}</mj-preview>"),
    "raw": column("<mj-raw><div class='a'>{% for i in items %}<p>{{ i }}</p>{% endfor %}</div></mj-raw>"),
    "raw Liquid": column("<mj-text>{% raw %}{{ not }} {% liquid %}{% endraw %}</mj-text>"),
    "comment": column("<mj-text>a{% comment %} <b> {{ x }} {% endcomment %}b</mj-text>"),
    "HTML comment": column("<mj-text>a<!-- {{ x }} -->b</mj-text>"),
    "capture in text": column("<mj-text>{% capture y %}<b>{{ x }}</b>{% endcapture %}{{ y }}{{ y }}</mj-text>"),
    "case": column("<mj-text>{% case n %}{% when 3 %}three{% else %}other{% endcase %}</mj-text>"),
    "white space control": column("<mj-text> {%- if a -%} a {%- endif -%} b {{- x -}} c</mj-text>"),
    "attribute of HTML": column(
        '<mj-text><a href="{{ url }}" title="{{ x }}" style="color:{{ color }}">a</a></mj-text>'
    ),
    "colour of a default": page(
        "<mj-section><mj-column><mj-text>a</mj-text></mj-column></mj-section>",
        '<mj-attributes><mj-text color="{{ color }}" /></mj-attributes>',
    ),
}

PER_RECIPIENT = {
    "width": column('<mj-image src="https://x/" alt="" width="{{ n }}0px" />'),
    "padding": column('<mj-text padding="{{ n }}px">a</mj-text>'),
    "align": column('<mj-text align="{% if a %}left{% else %}right{% endif %}">a</mj-text>'),
    "around an attribute": column('<mj-text {% if a %}color="red"{% endif %}>a</mj-text>'),
    "columns without a width": page(
        "<mj-section>{% for i in items %}<mj-column><mj-text>{{ i }}</mj-text></mj-column>{% endfor %}</mj-section>"
    ),
    "one column without a width": page(
        "<mj-section>{% if a %}<mj-column><mj-text>a</mj-text></mj-column>{% endif %}"
        "<mj-column><mj-text>b</mj-text></mj-column></mj-section>"
    ),
    "social": column(
        '<mj-social>{% if a %}<mj-social-element src="https://x/">a</mj-social-element>{% endif %}</mj-social>'
    ),
    "navbar": column(
        '<mj-navbar>{% if a %}<mj-navbar-link href="https://x/">a</mj-navbar-link>{% endif %}</mj-navbar>'
    ),
    "captured elements": page(
        "{% capture y %}<mj-section><mj-column><mj-text>a</mj-text></mj-column></mj-section>{% endcapture %}"
    ),
    "changing default": page(
        "{% for c in items %}<mj-section><mj-column><mj-text>a</mj-text></mj-column></mj-section>{% endfor %}",
        '<mj-attributes><mj-text color="{{ c }}" /></mj-attributes>',
    ),
    "style in a condition": page("", "{% if a %}<mj-style>.a { color: red }</mj-style>{% endif %}"),
}


def compiled(mjml):
    return compile_template(Template(name="t", subject="s", mjml=mjml))


@pytest.mark.parametrize("variables", VARIABLES)
@pytest.mark.parametrize("mjml", ONCE.values(), ids=ONCE.keys())
def test_compiled_once_equals_liquid_first(mjml, variables):
    template = compiled(mjml)
    assert template.per_recipient == ()
    assert shape(template.render(variables).html) == shape(liquid_first(mjml, variables))


@pytest.mark.parametrize("variables", VARIABLES)
@pytest.mark.parametrize("mjml", PER_RECIPIENT.values(), ids=PER_RECIPIENT.keys())
def test_layout_that_depends_on_liquid_is_compiled_per_recipient(mjml, variables):
    template = compiled(mjml)
    assert len(template.per_recipient) >= 1
    assert template.per_recipient[0].startswith("t:1:")
    assert shape(template.render(variables).html) == shape(liquid_first(mjml, variables))


words = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=30)
recommendations = st.lists(
    st.fixed_dictionaries(
        {"title": words, "price": st.floats(0, 1e6) | st.none(), "url": st.just("https://example.com/p")},
        optional={"reason": words, "image": st.just("https://example.com/i.png")},
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(first_name=words | st.none(), headline=words, items=recommendations)
def test_a_whole_mail_for_any_recipient(first_name, headline, items):
    source = parse_template("weekly_offers", (TEMPLATES / "weekly_offers.mjml").read_text("utf-8"))
    variables = json.loads((TEMPLATES / "variables.json").read_text("utf-8"))["weekly_offers"]
    variables |= {"first_name": first_name, "recommendations": items, "hero": {"headline": headline}}
    variables["hero"]["url"] = "https://example.com/"
    head = "<mj-head><mj-title>T</mj-title><mj-preview>P</mj-preview>"
    mjml = source.mjml.replace("<mj-head>", head, 1)
    template = compiled(mjml)
    assert template.per_recipient == ()
    assert shape(template.render(variables).html) == shape(liquid_first(mjml, variables))


@pytest.mark.parametrize("sign", ["\x00", "\x08", "\x1f", "\x7f", "\ud800", "\ufffe", "\x85"], ids=ascii)
@pytest.mark.parametrize("padding", ["1px", "{{ n }}px"])
def test_characters_that_no_mail_may_hold_are_left_out(sign, padding):
    template = compiled(column(f'<mj-text padding="{padding}">[{{{{ x }}}}]</mj-text>'))
    rendered = template.render({"x": f"a{sign}b\n", "n": 1})
    assert "'[ab ]" in shape(rendered.html)
    assert rendered.text == "[ab\n]\n"


def test_only_styles_marked_inline_are_inlined():
    head = '<mj-style inline="inline">.z { color: {{ color }} }</mj-style><mj-style>.y { color: blue }</mj-style>'
    body = (
        '<mj-section><mj-column><mj-text css-class="z y">a{% if n > 1 %}b{% endif %}</mj-text>'
        "<mj-table>{% for i in items %}<tr><td>{{ i }}</td></tr>{% endfor %}</mj-table></mj-column></mj-section>"
    )
    template = compiled(page(body, head))
    html = template.render(VARIABLES[0]).html
    assert template.per_recipient == ()
    assert "color: #123456" in html
    assert ".z" not in html
    assert ".y { color: blue }" in html
    cells = [seen for seen in shape(html) if isinstance(seen, str) and seen in ("/tr", "'1", "'2", "'3")]
    assert "'1 /tr '2 /tr '3 /tr" in " ".join(cells)


def test_the_output_calls_nobody():
    html = compiled(
        column('<mj-text>a</mj-text><mj-social><mj-social-element src="https://own/">a</mj-social-element></mj-social>')
    )
    addresses = [v for tag in shape(html.render({}).html) if isinstance(tag, tuple) for k, v in tag[1] if "://" in v]
    assert [a for a in addresses if "w3.org" not in a] == ["https://own/"]
