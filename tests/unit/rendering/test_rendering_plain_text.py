"""The text part that is derived from MJML."""

import pytest

from mailwright.rendering.markup import read
from mailwright.rendering.plain_text import derive, tidy


def column(block):
    return f"<mjml><mj-body><mj-section><mj-column>{block}</mj-column></mj-section></mj-body></mjml>"


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ("<mj-text>Hello   <b>you</b>\n there</mj-text>", "Hello you there"),
        ("<mj-text>one</mj-text><mj-text>two</mj-text>", "one\n\ntwo"),
        ("<mj-text>one<br />two<p>three</p></mj-text>", "one\ntwo\n\nthree"),
        ("<mj-text>a &amp; b &lt;c&gt; &eacute;&nbsp;d</mj-text>", "a & b <c> é d"),
        ("<mj-text>{{ a | append: '&amp;' }} &amp; b</mj-text>", "{{ a | append: '&amp;' }} & b"),
        ('<mj-button href="https://x/?a=1&amp;b=2">Go</mj-button>', "Go: https://x/?a=1&b=2"),
        ('<mj-button href="{{ url }}">{{ label }}</mj-button>', "{{ label }}: {{ url }}"),
        ("<mj-button>Go</mj-button>", "Go"),
        ('<mj-text>see <a href="https://x/">this</a>.</mj-text>', "see this: https://x/."),
        ('<mj-text><a href="https://x/">https://x/</a></mj-text>', "https://x/"),
        ('<mj-text><a href="https://x/"><img src="i" alt="Shoes" /></a></mj-text>', "Shoes: https://x/"),
        ('<mj-text><a href="#top">up</a></mj-text>', "up"),
        ('<mj-text>a<a href="https://x/" aria-hidden="true">hidden</a></mj-text>', "a"),
        ('<mj-image src="i" alt="A shoe" href="https://x/" />', "A shoe: https://x/"),
        ('<mj-image src="i" alt="A shoe" />', "A shoe"),
        ('<mj-image src="i" alt="" />', ""),
        ("<mj-text><ul><li>one</li><li>two</li></ul></mj-text>", "- one\n- two"),
        ("<mj-table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></mj-table>", "a b\nc"),
        ("<mj-text>a</mj-text><mj-divider /><mj-text>b</mj-text>", f"a\n\n{'-' * 40}\n\nb"),
        ("<mj-text>a<!-- no -->b</mj-text><mj-spacer />", "ab"),
        ("<mj-raw><style>.a { color: red }</style><p>x</p></mj-raw>", "x"),
        ("{% if a %}<mj-text>x</mj-text>{% endif %}", "{% if a %}\n\nx\n\n{% endif %}"),
        ("<mj-text>{% comment %}<b>{% endcomment %}x</mj-text>", "{% comment %}<b>{% endcomment %}x"),
    ],
)
def test_what_becomes_of_each_block(block, text):
    assert derive(read(column(block))) == text + "\n"


def test_the_head_is_left_out():
    page = "<mjml><mj-head><mj-title>T</mj-title><mj-preview>P</mj-preview></mj-head><mj-body></mj-body></mjml>"
    assert derive(read(page)) == "\n"


@pytest.mark.parametrize(
    ("text", "tidied"),
    [("a  b \n\n\n\n c\t", "a b\n\nc\n"), ("\n\na", "a\n"), ("", "\n"), ("a\xa0b", "a b\n"), ("a\r\nb", "a\nb\n")],
)
def test_tidy(text, tidied):
    assert tidy(text) == tidied
