"""The text part: a Liquid template derived from the MJML once, which an author may replace by his own.

A link reads ``label: address``. Layout, styles, comments, the preheader and what is
``aria-hidden`` are left out; Liquid stays as it is.
"""

from __future__ import annotations

import html
import re
from typing import Final

from mailwright.rendering.elements import ELEMENTS
from mailwright.rendering.markup import LIQUID, Attribute, Document, Element, Text

_SKIPPED: Final = frozenset({"mj-head", "mj-style", "style", "script", "mj-spacer", "mj-html-attributes"})
_PARAGRAPHS: Final = frozenset(
    {"mj-text", "mj-table", "mj-raw", "mj-button", "mj-image", "mj-social-element", "mj-navbar-link", "p", "table"}
    | {"mj-accordion-title", "mj-accordion-text", "mj-carousel-image", "blockquote", "ul", "ol"}
    | {f"h{n}" for n in range(1, 7)}
)
_LINES: Final = frozenset({"div", "tr", "br", "li", "dt", "dd", "section", "header", "footer"})
_LINKS: Final = frozenset({"a", "mj-button", "mj-social-element", "mj-navbar-link"})
_IMAGES: Final = frozenset({"img", "mj-image", "mj-carousel-image"})
_RULE: Final = "-" * 40
_BLANKS: Final = re.compile(r"[ \t\r\f\v]+")
_AROUND_NEWLINE: Final = re.compile(r" *\n *")
_EMPTY_LINES: Final = re.compile(r"\n{3,}")


def derive(document: Document) -> str:
    """The text part's Liquid template."""
    return tidy(_inside(document.root, document))


def tidy(text: str) -> str:
    """Text with single blanks, no blanks at line ends, and at most one empty line in a row."""
    text = _BLANKS.sub(" ", text.replace("\xa0", " "))
    return _EMPTY_LINES.sub("\n\n", _AROUND_NEWLINE.sub("\n", text)).strip() + "\n"


def _inside(element: Element, document: Document) -> str:
    only_liquid = not element.name or (element.name in ELEMENTS and ELEMENTS[element.name].content == "elements")
    parts = []
    for child in element.children:
        if isinstance(child, Element):
            parts.append(_element(child, document))
        elif not child.comment:
            parts.append(_tags(child, document) if only_liquid else _prose(document.text[child.start : child.end]))
    return "".join(parts)


def _tags(text: Text, document: Document) -> str:
    return "".join(LIQUID.findall(document.text[text.start : text.end]))


def _prose(text: str) -> str:
    """Literal text unescaped, with its white space collapsed; Liquid untouched."""
    parts: list[str] = []
    place = 0
    for found in LIQUID.finditer(text):
        parts += [_literal(text[place : found.start()]), found[0]]
        place = found.end()
    return "".join([*parts, _literal(text[place:])])


def _literal(text: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", text))


def _element(element: Element, document: Document) -> str:
    name = element.name
    if name in _SKIPPED or _value(element.get("aria-hidden"), document) == "true":
        return ""
    if name in ("mj-divider", "hr"):
        return f"\n\n{_RULE}\n\n"
    body = _linked(element, document)
    if name in _PARAGRAPHS:
        return f"\n\n{body}\n\n"
    if name in _LINES:
        return f"\n- {body}" if name == "li" else f"\n{body}"
    return f"{body}  " if name in ("td", "th") else body


def _linked(element: Element, document: Document) -> str:
    label = _value(element.get("alt"), document) if element.name in _IMAGES else _inside(element, document)
    address = _value(element.get("href"), document) if element.name in _LINKS | _IMAGES else ""
    label = label if not address else label.strip()
    if not address or address.startswith("#") or address == label:
        return label
    return f"{label}: {address}" if label else address


def _value(attribute: Attribute | None, document: Document) -> str:
    return _prose(document.text[attribute.start : attribute.end]).strip() if attribute else ""
