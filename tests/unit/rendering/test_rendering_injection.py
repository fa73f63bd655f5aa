"""Profile data cannot become markup, script, a foreign address or a style, wherever an author prints it."""

import json
from html.parser import HTMLParser

import pytest

from mailwright.rendering.template import Template, compile_template

ATTACKS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '" onmouseover="alert(1)" x="',
    "--><script>alert(1)</script><!--",
    "--!><script>alert(1)</script>",
    "<!--",
    "<![endif]--><script>alert(1)</script>",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    "\x01javascript:alert(1)",
    "&#106;avascript:alert(1)",
    "&colon;",
    "data:text/html;base64,PHNjcmlwdD4=",
    "vbscript:msgbox(1)",
    "//evil.example/x",
    "https://evil.example/');background:url('https://evil.example/2",
    "red;background:url(https://evil.example/)",
    "red}*{background:url(https://evil.example/)}",
    "expression(alert(1))",
    "url(javascript:alert(1))",
    "\\3c script\\3e",
    "{{ secret }}",
    "{% for i in (1..9) %}x{% endfor %}",
    "<mj-text>x</mj-text>",
    "</mj-text></mj-column><mj-raw><script>alert(1)</script></mj-raw>",
    "LQ00000Q",
    "<!--LQ00001Q-->",
    "\\",
    '\\"',
    "\u2028alert(1)",
    "＜script＞alert(1)＜/script＞",
]

PLACES = {
    "text": "<mj-text>{{ x }}</mj-text>",
    "text after filters": "<mj-text>{{ x | append: '<' | upcase | replace: 'A', 'b' | split: 'z' | join }}</mj-text>",
    "text without markup": "<mj-text>{{ x | strip_html | newline_to_br | escape_once }}</mj-text>",
    "text from capture": "<mj-text>{% capture y %}{{ x }}{% endcapture %}{{ y }}{{ y | upcase }}</mj-text>",
    "text by echo": "<mj-text>{% echo x %}{% liquid echo x %}{% cycle x, 'a' %}</mj-text>",
    "text decoded": "<mj-text>{{ x | url_encode | url_decode }}{{ x | base64_encode | base64_decode }}</mj-text>",
    "text by a snippet": "<mj-text>{% render 'card', y: x %}</mj-text>",
    "table": "<mj-table><tr><td>{{ x }}</td></tr>{{ x }}</mj-table>",
    "title of a link": '<mj-text><a href="https://a.example/" title="{{ x }}">a</a></mj-text>',
    "alt": '<mj-image src="https://a.example/" alt="{{ x }}" />',
    "class": '<mj-text css-class="{{ x }}">a</mj-text>',
    "href of a button": '<mj-button href="{{ x }}">a</mj-button>',
    "href after a condition": '<mj-button href="{% if true %}{{ x }}{% endif %}">a</mj-button>',
    "href in two halves": '<mj-button href="{{ x | slice: 0, 4 }}{{ x | slice: 4, 90 }}">a</mj-button>',
    "href of HTML": '<mj-text><a href="{{ x }}">a</a></mj-text>',
    "href in single quotes": "<mj-text><a href='{{ x }}'>a</a></mj-text>",
    "href after blanks": '<mj-text><a href="  {{ x }}">a</a></mj-text>',
    "href with a default": "<mj-text><a href=\"{{ x | default: 'https://a.example/' }}\">a</a></mj-text>",
    "path of an address": '<mj-text><a href="https://a.example/{{ x }}">a</a></mj-text>',
    "src": '<mj-image src="{{ x }}" alt="" />',
    "src of HTML": '<mj-text><img src="{{ x }}" alt="" /></mj-text>',
    "colour": '<mj-text color="{{ x }}">a</mj-text>',
    "layout, per recipient": '<mj-text padding="{{ x }}">a</mj-text>',
    "text, per recipient": '<mj-text padding="{{ one }}px">{{ x }}</mj-text>',
    "href, per recipient": '<mj-button padding="{{ one }}px" href="{{ x }}">a</mj-button>',
    "style of HTML": '<mj-text><b style="color: {{ x }}">a</b></mj-text>',
    "HTML comment": "<mj-text>a<!-- {{ x }} -->b</mj-text>",
    "conditional comment": "<mj-raw><!--[if mso]><p>{{ x }}</p><![endif]--></mj-raw>",
    "JSON-LD": '<mj-raw><script type="application/ld+json">{"name": "{{ x }}", "y": {{ x | json }}}</script></mj-raw>',
    "navigation, per recipient": (
        '<mj-navbar base-url="{{ x }}"><mj-navbar-link href="{{ x }}">a</mj-navbar-link></mj-navbar>'
    ),
}
HEADS = {
    "title": "<mj-title>{{ x }}</mj-title>",
    "preview": "<mj-preview>{{ x }}</mj-preview>",
    "style": "<mj-style>.a { color: {{ x }}; }</mj-style>",
    "inlined style": '<mj-style inline="inline">.a { color: {{ x }} }</mj-style>',
    "default": '<mj-attributes><mj-text color="{{ x }}" /></mj-attributes>',
}
BACKGROUND = '<mj-section background-url="{{ x }}"><mj-column /></mj-section>'


class Structure(HTMLParser):
    """What a reader acts on: elements with the names of their attributes, the addresses, and the JSON."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.shape = []
        self.addresses = []
        self.styles = []
        self.json = []
        self.inside = ""

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        self.shape.append((tag, tuple(name for name, _ in attrs)))
        for name, value in attrs:
            if name in ("href", "src", "background"):
                self.addresses.append(value or "")
            if name == "style":
                self.styles.append(value or "")

    def handle_data(self, data):
        if self.inside == "script":
            self.json.append(data)
        if self.inside == "style":
            self.styles.append(data)

    def handle_endtag(self, tag):
        self.shape.append("/" + tag)
        self.inside = ""

    def handle_comment(self, data):
        self.shape.append(("comment", data.count("<script"), data.count("<img")))


def structure(html):
    parser = Structure()
    parser.feed(html)
    parser.close()
    return parser


def pages():
    for name, block in PLACES.items():
        yield name, f"<mjml><mj-body><mj-section><mj-column>{block}</mj-column></mj-section></mj-body></mjml>"
    for name, head in HEADS.items():
        block = '<mj-section><mj-column><mj-text css-class="a">a</mj-text></mj-column></mj-section>'
        yield name, f"<mjml><mj-head>{head}</mj-head><mj-body>{block}</mj-body></mjml>"
    yield "background", f"<mjml><mj-body>{BACKGROUND}</mj-body></mjml>"


PAGES = dict(pages())
ALLOWED = ("https://", "http://", "mailto:", "tel:", "#")


@pytest.mark.parametrize("place", PAGES)
def test_data_stays_data(place):
    snippets = {"card": '<b title="{{ y }}">{{ y }}</b> <a href="{{ y }}">{{ y }}</a>'}
    template = compile_template(Template(name="t", subject="{{ x }}", mjml=PAGES[place]), snippets)
    harmless = structure(template.render({"x": "https://a.example/", "one": 1}).html)
    for attack in ATTACKS:
        html = template.render({"x": attack, "one": 1}).html
        found = structure(html)
        assert found.shape == harmless.shape, attack
        for address in found.addresses:
            assert not address or address.lower().startswith(ALLOWED), (attack, address)
        for style in found.styles:
            assert "evil.example/'" not in style, attack
            assert "expression(" not in style, attack
            assert "url(https://evil" not in style, attack
        for block in found.json:
            assert json.loads(block) == {"name": attack, "y": attack}


def test_subject_and_text_are_not_escaped_but_one_line():
    mjml = "<mjml><mj-body><mj-section><mj-column><mj-text>{{ x }}</mj-text></mj-column></mj-section></mj-body></mjml>"
    rendered = compile_template(Template(name="t", subject="Hi {{ x }}", mjml=mjml)).render({"x": "A&B\r\nBcc: <b>"})
    assert rendered.subject == "Hi A&B Bcc: <b>"
    assert rendered.text == "A&B\nBcc: <b>\n"
    assert "A&amp;B" in rendered.html
