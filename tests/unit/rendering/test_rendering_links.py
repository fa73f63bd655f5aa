"""Tracked links and the pixel."""

import pytest

from mailwright.rendering.links import link_targets, rewrite_links


def rewrite(html="", text="", pixel=None, keep=()):
    return rewrite_links(html, text, lambda url: f"https://t.example/{len(url)}?a=1&b=2", pixel, keep=keep)


@pytest.mark.parametrize(
    ("html", "rewritten"),
    [
        ('<a href="https://a.example/">x</a>', '<a href="https://t.example/18?a=1&amp;b=2">x</a>'),
        ("<a class='b' href='http://a.example/'>x</a>", "<a class='b' href=\"https://t.example/17?a=1&amp;b=2\">x</a>"),
        ('<A HREF="https://a.example/">x</A>', '<A HREF="https://t.example/18?a=1&amp;b=2">x</A>'),
        (
            '<a\n  href = "https://a.example/?x=1&amp;y=2"\n>x</a>',
            '<a\n  href = "https://t.example/26?a=1&amp;b=2"\n>x</a>',
        ),
        ('<area href="https://a.example/" />', '<area href="https://t.example/18?a=1&amp;b=2" />'),
        ('<v:roundrect href="https://a.example/">', '<v:roundrect href="https://t.example/18?a=1&amp;b=2">'),
        ('<a title="a > b" href="https://a.example/">', '<a title="a > b" href="https://t.example/18?a=1&amp;b=2">'),
        ('<a data-href="x" href="https://a.example/">', '<a data-href="x" href="https://t.example/18?a=1&amp;b=2">'),
    ],
)
def test_web_links_are_tracked(html, rewritten):
    assert rewrite(html)[0] == rewritten


@pytest.mark.parametrize(
    "html",
    [
        '<a href="mailto:a@a.example">x</a>',
        '<a href="tel:+1">x</a>',
        '<a href="#top">x</a>',
        '<a href="">x</a>',
        "<a>x</a>",
        '<a href="https://a.example/" rel="unsubscribe">x</a>',
        '<a rel="nofollow untracked" href="https://a.example/">x</a>',
        "<a rel='unsubscribe' href='https://a.example/'>x</a>",
        '<link href="https://a.example/style.css" />',
        '<img src="https://a.example/i.png" />',
        '<abbr href="https://a.example/">x</abbr>',
        "https://a.example/ in prose",
    ],
)
def test_these_stay(html):
    assert rewrite(html)[0] == html


def test_links_to_keep_stay_in_both_parts():
    html = '<a href="https://a.example/?u=1&amp;v=2">x</a><a href="https://b.example/" rel="untracked">y</a>'
    text = "x: https://a.example/?u=1&v=2\ny: https://b.example/\n"
    assert rewrite(html, text, keep=["https://a.example/?u=1&v=2"]) == (html, text)


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("go: https://a.example/", "go: https://t.example/18?a=1&b=2"),
        ("(https://a.example/).", "(https://t.example/18?a=1&b=2)."),
        ("https://a.example/(b), and", "https://t.example/21?a=1&b=2, and"),
        ("<https://a.example/>", "<https://t.example/18?a=1&b=2>"),
        ("no link", "no link"),
    ],
)
def test_links_in_text(text, rewritten):
    assert rewrite(text=text)[1] == rewritten


def test_each_target_is_asked_for_once():
    asked = []

    def link_for(url):
        asked.append(url)
        return "https://t.example/"

    rewrite_links('<a href="https://a/"><a href="https://a/"><a href="https://b/">', "https://a/", link_for, None)
    assert asked == ["https://a/", "https://b/"]


@pytest.mark.parametrize(
    ("html", "before", "after"),
    [
        ("<body>x</body></html>", "<body>x", "</body></html>"),
        ("<body>x</BODY >", "<body>x", "</BODY >"),
        ("<!-- </body> --><body>x</body>", "<!-- </body> --><body>x", "</body>"),
        ("x", "x", ""),
    ],
)
def test_the_pixel_stands_at_the_end_of_the_body(html, before, after):
    with_pixel, _ = rewrite(html, pixel="https://p.example/?a=1&b=2")
    assert with_pixel.startswith(before + '<img src="https://p.example/?a=1&amp;b=2" width="1" height="1" alt=""')
    assert with_pixel.endswith("/>" + after)
    assert rewrite(html)[0] == html


def test_targets_are_listed_once_in_order():
    html = '<a href="https://b/?x=1&amp;y=2"><a href="mailto:x@y"><a href="https://a/"><a href="https://a/">'
    assert link_targets(html) == ["https://b/?x=1&y=2", "https://a/"]
