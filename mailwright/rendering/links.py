"""Puts tracked addresses into a rendered mail."""

from __future__ import annotations

import html as markup
import re
from collections.abc import Callable, Collection
from typing import Final

# What the compiler writes quotes its attributes; an author's own HTML may use either quote.
_LINK: Final = re.compile(r"""<(?:a|area|v:\w+)\s(?:[^<>"']|"[^"]*"|'[^']*')*>""", re.IGNORECASE)
_HREF: Final = re.compile(r"""(\shref\s*=\s*)(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_UNTRACKED: Final = re.compile(
    r"""\srel\s*=\s*["'](?:[^"']*\s)?(?:unsubscribe|untracked)(?:\s[^"']*)?["']""", re.IGNORECASE
)
_WEB: Final = re.compile(r"https?://", re.IGNORECASE)
_URL_IN_TEXT: Final = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_BODY_END: Final = re.compile(r"</body\s*>", re.IGNORECASE)
# Signs that end the sentence around a link rather than the link.
_SENTENCE: Final = ".,;:!?'"

_PIXEL: Final = '<img src="{}" width="1" height="1" alt="" style="display:block;border:0;width:1px;height:1px" />'


def rewrite_links(
    html: str, text: str, link_for: Callable[[str], str], pixel_url: str | None, *, keep: Collection[str] = ()
) -> tuple[str, str]:
    """Replace every web link by a tracked one and add the open pixel.

    Left alone: links other than http and https, those marked ``rel="unsubscribe"`` or ``rel="untracked"`` in the
    HTML, and those in `keep` (the unsubscribe page must work without a redirect in between). A link left alone in the
    HTML is left alone in the text too.

    Args:
        html: A rendered HTML part.
        text: Its text part.
        link_for: The tracked address of a target; asked once per distinct target.
        pixel_url: Address of the pixel, put at the end of the body; None for none.
        keep: Exact addresses that stay.

    Returns:
        HTML and text with the new addresses.
    """
    rewriter = _Rewriter(link_for, set(keep))
    new_html = _LINK.sub(rewriter.in_html, html)
    new_text = _URL_IN_TEXT.sub(rewriter.in_text, text)
    return (_with_pixel(new_html, pixel_url) if pixel_url else new_html), new_text


def link_targets(html: str) -> list[str]:
    """Web addresses that the HTML links to, in order, each once."""
    found: dict[str, None] = {}
    for link in _LINK.findall(html):
        if (href := _HREF.search(link)) and _WEB.match(address := _address(href)):
            found[address] = None
    return list(found)


def _address(href: re.Match[str]) -> str:
    return markup.unescape(href[2] if href[2] is not None else href[3]).strip()


def _with_pixel(html: str, pixel_url: str) -> str:
    pixel = _PIXEL.format(markup.escape(pixel_url))
    ends = list(_BODY_END.finditer(html))
    place = ends[-1].start() if ends else len(html)
    return html[:place] + pixel + html[place:]


class _Rewriter:
    def __init__(self, link_for: Callable[[str], str], keep: set[str]) -> None:
        self.link_for = link_for
        self.keep = keep
        self.known: dict[str, str] = {}

    def tracked(self, address: str) -> str:
        if address not in self.known:
            self.known[address] = self.link_for(address)
        return self.known[address]

    def in_html(self, link: re.Match[str]) -> str:
        tag = link[0]
        href = _HREF.search(tag)
        if href is None or not _WEB.match(address := _address(href)):
            return tag
        if _UNTRACKED.search(tag):
            self.keep.add(address)
        if address in self.keep:
            return tag
        return f'{tag[: href.start()]}{href[1]}"{markup.escape(self.tracked(address))}"{tag[href.end() :]}'

    def in_text(self, found: re.Match[str]) -> str:
        address = _trimmed(found[0])
        return found[0] if address in self.keep else self.tracked(address) + found[0][len(address) :]


def _trimmed(address: str) -> str:
    while address and (address[-1] in _SENTENCE or (address[-1] == ")" and address.count("(") < address.count(")"))):
        address = address[:-1]
    return address
