"""Decides how each stretch of Liquid is guarded, and how it is carried through the MJML compiler.

A value that may become a link or a style gets a filter that makes it harmless. A mark stands for the Liquid while MJML
is compiled: a word in attributes and prose, a comment where an HTML parser would move a word (between table rows) or
where only elements may stand. What no mark can carry, because the layout is computed from it, is a `reason` to compile
the mail for each recipient.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

from mailwright.rendering.edits import Edit, Form
from mailwright.rendering.elements import (
    COPIED_ATTRIBUTES,
    COUNTED_PARENTS,
    ELEMENTS,
    PROSE_ATTRIBUTES,
    RAW_PARENTS,
    TABLE_HTML,
    URL_ATTRIBUTES,
)
from mailwright.rendering.markup import BLOCKS, LIQUID, Attribute, Document, Element, Fault, LiquidToken, Text

_OUTPUT: Final = re.compile(r"(\{\{-?)(.*?)(-?\}\})\Z", re.DOTALL)
_FIXED_SCHEME: Final = re.compile(r"\s*(https?://|mailto:|tel:|#)", re.IGNORECASE)
_CSS_URLS: Final = frozenset({"background-url", "background"})
_QUIET: Final = frozenset({"assign", "comment", "doc", "#"})
_PRINTING: Final = frozenset({"echo", "liquid", "cycle", "include", "render", "increment", "decrement", "tablerow"})
_STATEFUL: Final = frozenset({"cycle", "increment", "decrement", "ifchanged"})
_PARTIALS: Final = frozenset({"include", "render"})
_BRANCHES: Final = frozenset({"else", "elsif", "when"})
_TEXT_ONLY: Final = frozenset({"mj-title", "mj-preview", "title", "textarea", "option"})
_STYLES: Final = frozenset({"mj-style", "style"})
_ASSIGNED: Final = re.compile(r"\{%-?\s*(?:assign|capture|for|tablerow|increment|decrement)\s+([\w-]+)")


@dataclass(slots=True)
class Plan:
    """How a document's Liquid is carried.

    Attributes:
        edits: In order, not overlapping.
        reasons: Why it must be compiled for each recipient; empty if once is enough.
        faults: Uses of Liquid that cannot be right.
    """

    edits: list[Edit] = field(default_factory=list)
    reasons: list[Fault] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Place:
    start: int
    end: int
    element: Element
    attribute: Attribute | None = None
    comment: bool = False


def plan(document: Document, mjml_snippets: frozenset[str] = frozenset()) -> Plan:
    """Decide for every Liquid token how it is guarded and carried.

    Args:
        document: A template or snippet that passed the linter.
        mjml_snippets: Names of snippets that hold MJML; rendering one by Liquid makes layout.
    """
    return _Planner(document, mjml_snippets).run()


class _Planner:
    def __init__(self, document: Document, mjml_snippets: frozenset[str]) -> None:
        self.document = document
        self.snippets = mjml_snippets
        self.places = sorted(_places(document), key=lambda place: place.start)
        self.assigned = frozenset(_ASSIGNED.findall(document.text))
        self.plan = Plan()
        self.blocks: list[tuple[LiquidToken, object]] = []

    def run(self) -> Plan:
        done = 0
        for token in self.document.tokens:
            place = self._place(token)
            self._same_container(token, place)
            if token.start < done:
                continue
            if place is None:
                self._around_attributes(token)
            elif place.attribute is not None:
                self._attribute(place.element, place.attribute)
                done = place.attribute.end
            else:
                self._in_text(token, place)
        return self.plan

    def _place(self, token: LiquidToken) -> _Place | None:
        index = bisect_right(self.places, token.start, key=lambda place: place.start) - 1
        place = self.places[index] if index >= 0 else None
        return place if place and token.end <= place.end else None

    def _fault(self, token: LiquidToken, message: str, hint: str = "") -> None:
        self.plan.faults.append(Fault(token.start, token.end - token.start, message, hint))

    def _reason(self, token: LiquidToken, message: str) -> None:
        self.plan.reasons.append(Fault(token.start, token.end - token.start, message))

    def _edit(self, token: LiquidToken, text: str, form: Form) -> None:
        self.plan.edits.append(Edit(token.start, token.end, text, form))

    def _same_container(self, token: LiquidToken, place: _Place | None) -> None:
        container: object = None
        if place is not None:
            container = (id(place.element), place.attribute and place.attribute.start, place.comment and place.start)
        if token.tag in BLOCKS:
            self.blocks.append((token, container))
        elif self.blocks and (token.tag.startswith("end") or token.tag in _BRANCHES):
            opening, opened_in = self.blocks[-1]
            if opened_in != container:
                hint = f"its {{% {opening.tag} %}} stands in another element: let each element hold both or neither"
                self._fault(token, f"{token.text} is torn from its beginning by the markup", hint)
            if token.tag.startswith("end"):
                self.blocks.pop()

    # --- attributes

    def _around_attributes(self, token: LiquidToken) -> None:
        if token.is_output or token.tag in _PRINTING:
            self._fault(token, "Liquid cannot print attributes or names", 'print inside a value: name="{{ ... }}"')
            return
        self._reason(token, "Liquid around an attribute")

    def _attribute(self, element: Element, attribute: Attribute) -> None:
        document = self.document
        tokens = [t for t in document.tokens if attribute.start <= t.start < attribute.end]
        text = document.text[attribute.start : attribute.end]
        if message := self._layout_reason(element, attribute, tokens):
            self.plan.reasons.append(Fault(attribute.name_start, len(attribute.name), message))
        name = attribute.name.lower()
        if name in URL_ATTRIBUTES:
            text = _guarded_url(text, always=name in _CSS_URLS)
        elif name == "style" or (element.is_mjml and name not in PROSE_ATTRIBUTES):
            self._no_printing_tags(tokens)
            text = LIQUID.sub(lambda m: _filtered(m[0], "css_value"), text)
        self.plan.edits.append(Edit(attribute.start, attribute.end, text))

    def _layout_reason(self, element: Element, attribute: Attribute, tokens: list[LiquidToken]) -> str:
        if not element.is_mjml:
            return ""
        if attribute.name not in COPIED_ATTRIBUTES or element.name in ("mj-font", "mj-selector"):
            return f"the layout depends on {attribute.name}"
        if any(token.tag in _STATEFUL for token in tokens):
            return "a tag that counts stands in an attribute"
        in_defaults = element.parent is not None and element.parent.name == "mj-attributes"
        words = {word for token in tokens for word in re.findall(r"[\w-]+", token.text)}
        return "a default depends on a variable that changes" if in_defaults and words & self.assigned else ""

    def _no_printing_tags(self, tokens: list[LiquidToken]) -> None:
        for token in tokens:
            if token.tag in _PRINTING:
                self._fault(token, f"{{% {token.tag} %}} cannot print a style", "use {{ ... }}")

    # --- text

    def _in_text(self, token: LiquidToken, place: _Place) -> None:
        element = place.element
        if place.comment or element.name in _TEXT_ONLY:
            self._edit(token, token.text, "word")
        elif element.name in _STYLES:
            self._in_style(token, element)
        elif element.name == "script":
            self._no_printing_tags([token])
            json = re.search(r"\|\s*json\s*-?\}\}\Z", token.text)
            self._edit(token, token.text if json else _filtered(token.text, "json_text"), "word")
        elif _holds_elements(element):
            self._between_elements(token, element)
        else:
            between_rows = element.name in TABLE_HTML
            self._edit(token, token.text, "word" if token.is_output and not between_rows else "comment")

    def _in_style(self, token: LiquidToken, element: Element) -> None:
        self._no_printing_tags([token])
        if not token.is_output and element.get("inline"):
            self._reason(token, "Liquid decides which styles are inlined")
        self._edit(token, _filtered(token.text, "css_value"), "word" if token.is_output else "css")

    def _between_elements(self, token: LiquidToken, element: Element) -> None:
        if token.tag in _QUIET and element.name not in RAW_PARENTS:
            self._edit(token, token.text, "hoisted")
            return
        if message := self._between_reason(token, element):
            self._reason(token, message)
        self._edit(token, token.text, "raw")

    def _between_reason(self, token: LiquidToken, element: Element) -> str:
        if token.tag in _PARTIALS and self.snippets.intersection(re.findall(r"[\w.-]+", token.text)):
            return "a snippet with MJML is rendered by Liquid"
        if token.tag == "capture":
            return "elements are captured"
        if element.name in COUNTED_PARENTS or element.name not in RAW_PARENTS:
            return f"Liquid between the elements of <{element.name}>"
        if token.tag not in _QUIET and element.name in ("mj-section", "mj-group") and _shares_width(element):
            return "the number of columns without a width depends on Liquid"
        return ""


def _places(document: Document) -> list[_Place]:
    places = []
    for element in [document.root, *document.elements()]:
        places += [_Place(a.start, a.end, element, a) for a in element.attributes]
        places += [_Place(t.start, t.end, element, None, t.comment) for t in element.children if isinstance(t, Text)]
    return places


def _holds_elements(element: Element) -> bool:
    kind = ELEMENTS.get(element.name)
    return not element.name or (kind is not None and kind.content in ("elements", "empty"))


def _shares_width(element: Element) -> bool:
    columns = [c for c in element.children if isinstance(c, Element) and c.name in ("mj-column", "mj-group")]
    return any(column.get("width") is None for column in columns)


def _filtered(token: str, name: str) -> str:
    found = _OUTPUT.match(token)
    return f"{found[1]}{found[2].rstrip()} | {name} {found[3]}" if found else token


def _guarded_url(value: str, *, always: bool) -> str:
    if _FIXED_SCHEME.match(value) and not always:
        return value
    first = LIQUID.match(value.strip())
    if first and first[0] == value.strip() and first[0].startswith("{{"):
        return _filtered(first[0], "safe_url")
    return f"{{% capture mw_url %}}{value}{{% endcapture %}}{{{{ mw_url | safe_url }}}}"
