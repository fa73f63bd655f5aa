"""A small language for taking values out of JSON that others made: paths, a few functions, conditions.

``$.customer.email`` is a path from the top, ``item.sku`` one from the element at hand; ``[0]``, ``[-1]``, ``[*]`` and
``["odd name"]`` lead into lists and objects. ``number($.total)``, ``first($.a, $.b, "none")``, ``$.status == "paid"``.
What is not there is null, and most functions of null are null. Nothing in it loops, so it always ends; a value that
cannot be what it should be is `Unfit`, which refuses the one item that needed it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mailwright.core.errors import InvalidInput, Issue, Span, nearest
from mailwright.ingest.expression_functions import FUNCTIONS, Unfit, is_there

__all__ = ["Scope", "Unfit", "compile_condition", "compile_expression", "looks_like_expression"]

MAX_CHARS = 2_000
_MAX_DEPTH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What an expression sees.

    Attributes:
        body: ``$``.
        item: ``item``; the body itself where there is no list.
        headers: Of the request, names in lower case: ``header("X-Topic")``.
        query: Of the request's address: ``query("shop")``.
        options: Of the definition: ``option("purposes")``.
    """

    body: Any
    item: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def at(self, item: Any) -> Scope:
        """The same, with another item at hand."""
        return replace(self, item=item)


Compiled = Callable[[Scope], Any]
"""Gives a JSON value or raises `Unfit`."""

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>"(?:[^"\\]|\\.)*"|'[^']*')
  | (?P<number>-?\d+(?:\.\d+)?)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<step>\.[A-Za-z_][A-Za-z0-9_-]*|\[\*\]|\[-?\d+\]|\["(?:[^"\\]|\\.)*"\])
  | (?P<mark>==|!=|<=|>=|[<>()\[\],$])
    )""",
    re.VERBOSE,
)
_CALL = re.compile(r"\s*(item([.\[].*|\s*$)|[A-Za-z_][A-Za-z0-9_]*\(.*)", re.DOTALL)
_WORDS = {"true": True, "false": False, "null": None}
_REQUEST = {"header": "headers", "query": "query", "option": "options"}
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


def looks_like_expression(text: str) -> bool:
    """Whether a text in a definition is an expression: begins with ``$`` or a quote, or is ``item...`` or a call."""
    return text.lstrip()[:1] in ("$", '"') or _CALL.fullmatch(text) is not None


def compile_expression(text: str) -> Compiled:
    """What an expression means.

    Raises:
        InvalidInput: ``expression.syntax``, with its place in the text.
    """
    return _Parser(text).whole()


def compile_condition(text: str) -> Callable[[Scope], bool]:
    """What a condition means: whether its value is there and is neither false nor zero."""
    value = compile_expression(text)
    return lambda scope: is_there(found := value(scope)) and found is not False and found != 0


class _Parser:
    """Recursive descent; what it makes are closures."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0
        self.depth = 0
        self.tokens: list[tuple[str, str, int]] = []
        if len(text) > MAX_CHARS:
            raise self.fault(f"it has {len(text):,} characters, at most {MAX_CHARS:,} are read", 0)
        end = len(text.rstrip())
        at = 0
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                start = at + len(text[at:]) - len(text[at:].lstrip())
                raise self.fault(f"nothing begins with {text[start]!r} here", start)
            kind = match.lastgroup or ""
            self.tokens.append((kind, match[kind], match.start(kind)))
            at = match.end()

    def fault(self, message: str, start: int, hint: str = "", length: int = 1) -> InvalidInput:
        lines = self.text[:start].split("\n")
        span = Span(line=len(lines), column=len(lines[-1]) + 1, length=length)
        issue = Issue(path="", message=message, hint=hint, span=span, source=self.text)
        return InvalidInput("expression.syntax", [issue])

    def whole(self) -> Compiled:
        value = self.either()
        if self.place < len(self.tokens):
            _, text, start = self.tokens[self.place]
            raise self.fault(f"{text!r} is too much here", start, length=len(text))
        return value

    def peek(self) -> str:
        return self.tokens[self.place][1] if self.place < len(self.tokens) else ""

    def take(self, wanted: str) -> bool:
        found = self.place < len(self.tokens) and self.tokens[self.place][:1] != ("text",) and self.peek() == wanted
        self.place += found
        return found

    def need(self, wanted: str) -> None:
        if not self.take(wanted):
            raise self.fault(f"{wanted!r} is missing", self.start())

    def start(self) -> int:
        return self.tokens[self.place][2] if self.place < len(self.tokens) else len(self.text.rstrip())

    # --- conditions ---

    def either(self) -> Compiled:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.fault("it is nested too deeply", self.start())
        parts = [self.both()]
        while self.take("or"):
            parts.append(self.both())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else lambda scope: any(_true(part(scope)) for part in parts)

    def both(self) -> Compiled:
        parts = [self.negated()]
        while self.take("and"):
            parts.append(self.negated())
        return parts[0] if len(parts) == 1 else lambda scope: all(_true(part(scope)) for part in parts)

    def negated(self) -> Compiled:
        n = 0
        while self.take("not"):
            n += 1
        value = self.compared()
        return value if n == 0 else lambda scope: _true(value(scope)) is (n % 2 == 0)

    def compared(self) -> Compiled:
        left = self.value()
        for mark in ("==", "!=", "<=", ">=", "<", ">", "in"):
            if self.take(mark):
                right = self.value()
                return lambda scope: _compare(mark, left(scope), right(scope))
        return left

    # --- values ---

    def value(self) -> Compiled:
        if self.place >= len(self.tokens):
            raise self.fault("a value is missing", self.start(), "write a path such as $.customer.email")
        kind, text, start = self.tokens[self.place]
        self.place += 1
        match kind:
            case "text":
                return _constant(self.unquoted(text, start))
            case "number":
                return _constant(float(text) if "." in text else int(text))
            case "name":
                return self.named(text, start)
        if text == "$":
            return self.path(text)
        if text == "(":
            value = self.either()
            self.need(")")
            return value
        if text == "[":
            return self.listed()
        raise self.fault(f"{text!r} is no value", start, length=len(text))

    def unquoted(self, text: str, start: int) -> str:
        if text[0] == "'":
            return text[1:-1]
        for bad in re.finditer(r'\\([^"\\ntr/])', text):
            raise self.fault(f"there is no escape {bad[0]}", start + bad.start(), length=2)
        return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t", "r": "\r"}.get(m[1], m[1]), text[1:-1])

    def path(self, root: str) -> Compiled:
        steps: list[str | int | None] = []
        while self.place < len(self.tokens) and self.tokens[self.place][0] == "step":
            _, text, start = self.tokens[self.place]
            self.place += 1
            if text == "[*]":
                steps.append(None)
            elif text[0] == ".":
                steps.append(text[1:])
            elif text[1] == '"':
                steps.append(self.unquoted(text[1:-1], start + 1))
            else:
                steps.append(int(text[1:-1]))
        if root == "$":
            return lambda scope: _walk(scope.body, steps)
        return lambda scope: _walk(scope.item, steps)

    def listed(self) -> Compiled:
        parts: list[Compiled] = []
        while not self.take("]"):
            parts.append(self.either())
            if not self.take(","):
                self.need("]")
                break
        return lambda scope: [part(scope) for part in parts]

    def named(self, name: str, start: int) -> Compiled:
        if name in _WORDS:
            return _constant(_WORDS[name])
        if name == "item":
            return self.path(name)
        if not self.take("("):
            hint = f"a text stands in quotes: {name!r}" if name not in FUNCTIONS else f"write {name}(...)"
            raise self.fault(f"{name!r} is no value", start, hint, len(name))
        arguments: list[Compiled] = []
        while not self.take(")"):
            arguments.append(self.either())
            if not self.take(","):
                self.need(")")
                break
        if name in _REQUEST:
            return self.of_request(name, arguments, start)
        if name not in FUNCTIONS:
            hint = nearest(name, [*FUNCTIONS, *_REQUEST])
            raise self.fault(f"there is no function {name!r}", start, hint, len(name))
        function = FUNCTIONS[name]
        if not function.least <= len(arguments) <= function.most:
            raise self.fault(f"{name} takes {function.takes}, not {len(arguments)}", start, function.help, len(name))
        return lambda scope: function.run([argument(scope) for argument in arguments])

    def of_request(self, name: str, arguments: Sequence[Compiled], start: int) -> Compiled:
        try:
            (told,) = [argument(Scope(body=None)) for argument in arguments]
        except (ValueError, Unfit):
            told = None
        if not isinstance(told, str):
            raise self.fault(f"{name} takes one name in quotes", start, f'write {name}("X-Topic")', len(name))
        key, where = (told.lower() if name == "header" else told), _REQUEST[name]
        return lambda scope: getattr(scope, where).get(key)


def _constant(value: Any) -> Compiled:
    return lambda _: value


def _true(value: Any) -> bool:
    return is_there(value) and value is not False and value != 0


def _compare(mark: str, left: Any, right: Any) -> bool:
    """Never fails: values of different kinds are unequal and stand in no order."""
    if mark == "in":
        return isinstance(right, list) and any(_same(left, each) for each in right)
    if mark in ("==", "!="):
        return _same(left, right) is (mark == "==")
    if _kind(left) != _kind(right) or _kind(left) not in (float, str):
        return False
    return _COMPARED[mark](left, right)


def _same(left: Any, right: Any) -> bool:
    return _kind(left) == _kind(right) and bool(left == right)


def _kind(value: Any) -> type:
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def _walk(value: Any, steps: Sequence[str | int | None]) -> Any:
    """What lies at a path; null where there is nothing. A ``[*]`` gives a list without nulls."""
    for place, step in enumerate(steps):
        if step is None:
            each = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
            rest = steps[place + 1 :]
            found = [one for item in each if (one := _walk(item, rest)) is not None]
            if None in rest:  # lists of lists become one
                return [one for inner in found for one in (inner if isinstance(inner, list) else [inner])]
            return found
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
        if value is None:
            return None
    return value
