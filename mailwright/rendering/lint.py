"""Finds what is wrong in a template's markup before the compiler silently renders it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mailwright.core.errors import nearest
from mailwright.rendering.elements import COMMON, ELEMENTS, EVERY_ATTRIBUTE, REFUSED_HTML
from mailwright.rendering.markup import MASK, Attribute, Document, Element, Fault, Text

# The compiler recurses; 12,000 levels end the process. No mail needs a hundred.
DEPTH_MAX: Final = 100
_DEFAULTS: Final = "mj-attributes"
_SAFE_SCRIPT: Final = "application/ld+json"


def lint(document: Document, *, fragment: bool, social_icons: bool) -> list[Fault]:
    """All faults, in the order of the text.

    Args:
        document: What was read.
        fragment: A snippet: no ``<mjml>`` around it, and its outermost elements may stand anywhere.
        social_icons: Whether the project has icons of its own, so that ``mj-social-element`` may leave out ``src``.
    """
    faults = list(document.faults)
    if document.depth > DEPTH_MAX:
        faults.append(Fault(0, 1, f"elements are nested {document.depth} deep; at most {DEPTH_MAX}"))
    if not fragment:
        faults += _root(document)
    for element in document.elements():
        faults += _mjml(element, document, social_icons) if element.is_mjml else _html(element, document)
    return sorted(faults, key=lambda fault: fault.start)


def _root(document: Document) -> Iterator[Fault]:
    elements = [child for child in document.root.children if isinstance(child, Element)]
    if len(elements) != 1 or elements[0].name != "mjml":
        where = next((e for e in elements if e.name != "mjml"), None)
        yield Fault(where.start if where else 0, 1, "a template is exactly one <mjml> element")
        return
    if not any(isinstance(child, Element) and child.name == "mj-body" for child in elements[0].children):
        yield Fault(elements[0].start, len("<mjml"), "<mjml> has no <mj-body>")
    yield from _dropped_text(document.root, document)


def _mjml(element: Element, document: Document, social_icons: bool) -> Iterator[Fault]:
    kind = ELEMENTS.get(element.name)
    if kind is None:
        yield Fault(element.start + 1, len(element.name), f"unknown element <{element.name}>", _near_element(element))
        return
    yield from _parent(element)
    yield from _attribute_names(element)
    if kind.content in ("elements", "empty") and not _in_defaults(element):
        yield from _dropped_text(element, document)
    yield from _required(element, social_icons)


def _near_element(element: Element) -> str:
    if element.name == "mj-include":
        return 'an mj-include takes nothing but a path: write <mj-include path="name" />'
    return nearest(element.name, ELEMENTS)


def _in_defaults(element: Element) -> bool:
    return element.parent is not None and element.parent.name == _DEFAULTS


def _parent(element: Element) -> Iterator[Fault]:
    parent = element.parent.name if element.parent else ""
    allowed = ELEMENTS[element.name].parents
    if not parent or parent in allowed or (_in_defaults(element) and element.name != "mjml"):
        return
    places = " or ".join(f"<{name}>" for name in sorted(allowed)) or "the top"
    yield Fault(
        element.start + 1,
        len(element.name),
        f"<{element.name}> cannot stand in <{parent}>",
        f"it belongs in {places}",
    )


def _attribute_names(element: Element) -> Iterator[Fault]:
    kind = ELEMENTS[element.name]
    known = EVERY_ATTRIBUTE if element.name in ("mj-all", "mj-class") else kind.attributes | COMMON
    if element.name == "mjml" or element.parent is None or not element.parent.name:
        known |= {"xmlns", "owa"}
    for attribute in element.attributes:
        if attribute.name not in known:
            yield Fault(
                attribute.name_start,
                len(attribute.name),
                f"<{element.name}> has no attribute {attribute.name!r}",
                nearest(attribute.name, known - COMMON or known),
            )


def _required(element: Element, social_icons: bool) -> Iterator[Fault]:
    length = len(element.name) + 1
    if _in_defaults(element):
        return
    if element.name in ("mj-image", "mj-carousel-image"):
        if not element.get("src"):
            yield Fault(element.start, length, f"<{element.name}> has no src")
        if not element.get("alt"):
            yield Fault(element.start, length, f"<{element.name}> has no alt", 'say what it shows; alt="" if nothing')
    if element.name == "mj-social-element" and not social_icons and not element.get("src"):
        yield Fault(element.start, length, "<mj-social-element> has no src", "give the address of its icon")


def _dropped_text(element: Element, document: Document) -> Iterator[Fault]:
    for child in element.children:
        if not isinstance(child, Text) or child.comment:
            continue
        text = document.masked[child.start : child.end]
        bare = text.replace(MASK, " ").strip()
        if bare:
            start = child.start + text.index(bare[0])
            yield _text_fault(start, len(bare.split("\n")[0]), element)
        for token in document.tokens:
            if child.start <= token.start < child.end and token.is_output:
                yield _text_fault(token.start, token.end - token.start, element)


def _text_fault(start: int, length: int, element: Element) -> Fault:
    where = f"directly in <{element.name}>" if element.name else "outside <mjml>"
    return Fault(start, length, f"text {where} would be lost", "put it in an <mj-text>")


def _html(element: Element, document: Document) -> Iterator[Fault]:
    yield from _html_place(element)
    kind = element.get("type")
    if element.name.lower() in REFUSED_HTML and (kind is None or _value(document, kind) != _SAFE_SCRIPT):
        yield Fault(element.start + 1, len(element.name), f"mail programs drop or block <{element.name}>", "remove it")
    for attribute in element.attributes:
        if attribute.name.lower().startswith("on"):
            yield Fault(attribute.name_start, len(attribute.name), "mail programs run no scripts", "remove it")
        if _value(document, attribute).strip().lower().startswith(("javascript:", "vbscript:")):
            yield Fault(attribute.start, 11, "mail programs run no scripts", "link to a page")


def _html_place(element: Element) -> Iterator[Fault]:
    parent = element.parent
    if parent is None or not parent.is_mjml:
        return
    kind = ELEMENTS.get(parent.name)
    if kind is not None and kind.content != "html":
        yield Fault(
            element.start + 1,
            len(element.name),
            f"<{element.name}> cannot stand directly in <{parent.name}>",
            "put HTML in an <mj-text>, <mj-table> or <mj-raw>",
        )


def _value(document: Document, attribute: Attribute) -> str:
    return document.masked[attribute.start : attribute.end]
