"""Reads MJML with Liquid in it as a tree that knows where everything stands.

Liquid tokens are masked first, character for character, so that a ``<`` or a quote inside one is no markup and every
offset is still an offset of the source. The reader never gives up: what it cannot read becomes a `Fault`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from mailwright.rendering.elements import ELEMENTS, VOID_HTML

MASK: Final = "\ue000"
LIQUID: Final = re.compile(
    r"\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}"
    r"|\{%-?\s*comment\s*-?%\}.*?\{%-?\s*endcomment\s*-?%\}"
    r"|\{%-?\s*doc\s*-?%\}.*?\{%-?\s*enddoc\s*-?%\}"
    r"|\{\{.*?\}\}|\{%.*?%\}",
    re.DOTALL,
)
BLOCKS: Final = frozenset({"if", "unless", "for", "case", "tablerow", "capture", "ifchanged"})
# An author who minds XML writes `&gt;` inside a Liquid tag; Liquid must see `>`. Same length: offsets stay.
_ENTITY: Final = {"&gt;": ">   ", "&lt;": "<   "}
_MARKUP: Final = re.compile(r"<!--.*?-->|</\s*[\w:-]+[^>]*>|<[A-Za-z][\w:-]*|<", re.DOTALL)
_ATTRIBUTE: Final = re.compile(r"""([^\s"'<>/=\ue000]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'<>=]+))?""")
_RAW_TEXT: Final = frozenset({"style", "script", "mj-style", "title"})


@dataclass(frozen=True, slots=True)
class LiquidToken:
    """One ``{{ }}`` or ``{% %}`` (a whole raw or comment block is one) and its place in the source."""

    start: int
    end: int
    text: str

    @property
    def is_output(self) -> bool:
        """Whether it prints a value."""
        return self.text.startswith("{{")

    @property
    def tag(self) -> str:
        """Name of the tag (``if``, ``endfor``), empty for an output."""
        found = re.match(r"\{%-?\s*(\w+|#)", self.text)
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something unreadable: offset, length, message, hint."""

    start: int
    length: int
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Attribute:
    """``name="value"``; `start` and `end` enclose the value without its quotes."""

    name: str
    name_start: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Text:
    """Character data or, if `comment`, a comment with its marks."""

    start: int
    end: int
    comment: bool = False


@dataclass(slots=True)
class Element:
    """An element: `start` and `open_end` enclose its start tag, `close_start` and `end` its end tag."""

    name: str
    start: int
    parent: Element | None
    attributes: list[Attribute] = field(default_factory=list)
    children: list[Element | Text] = field(default_factory=list)
    open_end: int = 0
    close_start: int = 0
    end: int = 0

    @property
    def is_mjml(self) -> bool:
        """Whether it is an element of MJML rather than HTML inside one."""
        return self.name == "mjml" or self.name.startswith("mj-")

    def get(self, name: str) -> Attribute | None:
        """The attribute of that name."""
        return next((a for a in self.attributes if a.name == name), None)

    @property
    def host(self) -> Element:
        """The nearest MJML element around (or itself)."""
        element = self
        while not element.is_mjml and element.parent is not None:
            element = element.parent
        return element


@dataclass(slots=True)
class Document:
    """What was read: a nameless root element, the Liquid tokens in order, and the faults."""

    text: str = field(repr=False)
    masked: str = field(repr=False)
    root: Element
    tokens: list[LiquidToken]
    faults: list[Fault]
    depth: int = 0

    def elements(self) -> list[Element]:
        """All elements in document order, without recursion."""
        found: list[Element] = []
        waiting: list[Element | Text] = list(reversed(self.root.children))
        while waiting:
            node = waiting.pop()
            if isinstance(node, Element):
                found.append(node)
                waiting.extend(reversed(node.children))
        return found


def normalise(text: str) -> str:
    """The source with ``&gt;`` and ``&lt;`` inside Liquid tags read as the signs they stand for, same length."""

    def plain(found: re.Match[str]) -> str:
        token = found[0]
        if token.startswith("{%") and "&" in token:
            for entity, sign in _ENTITY.items():
                token = token.replace(entity, sign)
        return token

    return LIQUID.sub(plain, text)


def read(text: str) -> Document:
    """Read a normalised source."""
    tokens = [LiquidToken(m.start(), m.end(), m[0]) for m in LIQUID.finditer(text)]
    masked = LIQUID.sub(lambda m: MASK * len(m[0]), text)
    reader = _Reader(masked)
    reader.run()
    return Document(text, masked, reader.root, tokens, reader.faults, reader.depth)


def unclosed_block(text: str) -> LiquidToken | None:
    """The outermost Liquid block tag that has no end, if there is one."""
    waiting: list[LiquidToken] = []
    for found in LIQUID.finditer(text):
        token = LiquidToken(found.start(), found.end(), found[0])
        if token.tag in BLOCKS:
            waiting.append(token)
        elif waiting and token.tag == f"end{waiting[-1].tag}":
            waiting.pop()
    return waiting[0] if waiting else None


class _Reader:
    def __init__(self, masked: str) -> None:
        self.text = masked
        self.root = Element("", 0, None, end=len(masked))
        self.open = [self.root]
        self.faults: list[Fault] = []
        self.depth = 0

    def run(self) -> None:
        place = 0
        while found := _MARKUP.search(self.text, place):
            self._text(place, found.start())
            place = self._markup(found)
        self._text(place, len(self.text))
        for element in reversed(self.open[1:]):
            self._unclosed(element)
            element.close_start = element.end = len(self.text)

    def _unclosed(self, element: Element) -> None:
        self.faults.append(
            Fault(element.start, len(element.name) + 1, f"<{element.name}> is never closed", f"add </{element.name}>")
        )

    def _text(self, start: int, end: int, *, comment: bool = False) -> None:
        if start < end:
            self.open[-1].children.append(Text(start, end, comment))

    def _markup(self, found: re.Match[str]) -> int:
        sign = found[0]
        if sign.startswith("<!--"):
            self._text(found.start(), found.end(), comment=True)
            return found.end()
        if sign.startswith("</"):
            self._close(sign[2:-1].split()[0] if sign[2:-1].split() else "", found.start(), found.end())
            return found.end()
        if len(sign) > 1:
            return self._open(sign[1:], found.start(), found.end())
        self._stray(found.start())
        return found.start() + 1

    def _stray(self, place: int) -> None:
        hint = "write &lt; for the sign itself"
        if self.text.startswith("<!", place) or self.text.startswith("<?", place):
            hint = "leave out doctypes, CDATA and processing instructions"
        self.faults.append(Fault(place, 1, "this < begins no element", hint))

    def _close(self, name: str, start: int, end: int) -> None:
        if name in VOID_HTML:
            self.faults.append(Fault(start, end - start, f"<{name}> takes no end tag"))
            return
        match = next((i for i in range(len(self.open) - 1, 0, -1) if self.open[i].name == name), None)
        if match is None:
            self.faults.append(Fault(start, end - start, f"</{name}> closes nothing that is open"))
            return
        for element in reversed(self.open[match + 1 :]):
            self._unclosed(element)
            element.close_start = element.end = start
        self.open[match].close_start, self.open[match].end = start, end
        del self.open[match:]

    def _open(self, name: str, start: int, place: int) -> int:
        element = Element(name, start, self.open[-1])
        self.open[-1].children.append(element)
        place, closed = self._attributes(element, place)
        element.open_end = element.close_start = element.end = place
        if closed or name in VOID_HTML:
            return place
        self.open.append(element)
        self.depth = max(self.depth, len(self.open) - 1)
        kind = ELEMENTS.get(name)
        return self._raw_text(name, place) if name in _RAW_TEXT or (kind and kind.content == "css") else place

    def _raw_text(self, name: str, place: int) -> int:
        end = self.text.find(f"</{name}", place)
        end = len(self.text) if end < 0 else end
        self._text(place, end)
        return end

    def _attributes(self, element: Element, place: int) -> tuple[int, bool]:
        text, n = self.text, len(self.text)
        while place < n:
            if text[place] == ">":
                return place + 1, False
            if text.startswith("/>", place):
                return place + 2, True
            if text[place] == "<":
                break
            found = _ATTRIBUTE.match(text, place)
            if found is None:
                place += 1
                continue
            self._attribute(element, found)
            place = found.end()
        self.faults.append(Fault(element.start, len(element.name) + 1, f"<{element.name} has no closing >"))
        return place, False

    def _attribute(self, element: Element, found: re.Match[str]) -> None:
        name, value = found[1], found[2]
        if value is None:
            if element.is_mjml:
                self._attribute_fault(found, f'{name} needs a value: {name}="..."')
            return
        if value[0] not in "\"'":
            self._attribute_fault(found, f"the value of {name} is not in quotes")
            return
        if value[0] == "'" and '"' in value:
            self._attribute_fault(found, f'write &quot; for the " inside {name}')
            return
        if element.get(name):
            self._attribute_fault(found, f"{name} is given twice")
        element.attributes.append(Attribute(name, found.start(1), found.start(2) + 1, found.end(2) - 1))

    def _attribute_fault(self, found: re.Match[str], message: str) -> None:
        self.faults.append(Fault(found.start(1), len(found[1]), message))
