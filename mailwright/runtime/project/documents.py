"""Text files of a project into typed values, with errors that point at file, line and the nearest right word."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import yaml

from mailwright.core.errors import InvalidInput, Issue, Span, nearest
from mailwright.runtime.typed import converted

T = TypeVar("T")
Path = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's scalars: ``on``, ``10:00`` and dates stay text; only true, false, null and numbers are more."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Keys are always text: ``404:`` and ``true:`` too."""
        return {name.value: self.construct_object(value, deep=deep) for name, value in node.value}

    def number(self, node: yaml.ScalarNode) -> int | float:
        """Decimal: ``007`` is seven, where YAML 1.1 reads octal."""
        text = self.construct_scalar(node)
        try:
            return int(text) if _INTEGER.match(text) else float(text)
        except ValueError as error:  # thousands of digits
            raise yaml.MarkedYAMLError(problem="a number of too many digits", problem_mark=node.start_mark) from error


_Loader.yaml_implicit_resolvers = {}
_INTEGER = re.compile(r"^[-+]?[0-9]+$")
_NUMBER = re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:null|~|)$"), ["n", "~", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+.0123456789"))
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One parsed file: plain data, and where each value stands."""

    path: str
    text: str
    data: Any
    spans: Mapping[Path, Span]
    keys: Mapping[Path, Span]

    def span(self, path: Path) -> Span:
        """Where the value at `path` stands, or the nearest enclosing one that is known."""
        while path and path not in self.spans:
            path = path[:-1]
        return self.spans.get(path, Span(line=1, column=1))

    def issue(self, path: Path, message: str, hint: str = "") -> Issue:
        """An issue at the value at `path`, with a caret under it."""
        return Issue(path=self.path, message=message, hint=hint, span=self.span(path), source=self.text)

    def key_issue(self, path: Path, message: str, hint: str = "") -> Issue:
        """An issue at the key, not the value, at `path`."""
        return Issue(path=self.path, message=message, hint=hint, span=self.keys.get(path), source=self.text)

    def placed(self, path: Path, issue: Issue) -> Issue:
        """An issue inside the text that is the value at `path`, moved to where that text stands in this file."""
        value = self.span(path)
        span = (issue.span and issue.source and self._found(value, issue.span, issue.source)) or value
        return Issue(path=self.path, message=issue.message, hint=issue.hint, span=span, source=self.text)

    def _found(self, value: Span, span: Span, source: str) -> Span | None:
        """Where the words stand that `span` points at in `source`, the text of the value that begins at `value`.

        A block of YAML is folded: its words keep their order, its lines and indents do not.
        """
        before = source.splitlines(keepends=True)[: span.line]
        place = sum(map(len, before[:-1])) + span.column - 1
        words = source[place : place + span.length].split("\n")[0].strip()
        at_end = not words
        words = words or (source[:place].split() or [""])[-1]
        nth = source.count(words, 0, place) + (0 if at_end else 1)
        rows = self.text.splitlines(keepends=True)
        is_block = rows[value.line - 1][value.column - 1 : value.column] in (">", "|")
        start = (
            sum(map(len, rows[: value.line])) if is_block else sum(map(len, rows[: value.line - 1])) + value.column - 1
        )
        found = start - 1
        for _ in range(nth):
            found = self.text.find(words, found + 1)
            if not words or found < 0:
                return None
        found += len(words) if at_end else 0
        line = self.text.count("\n", 0, found)
        column = found - (self.text.rfind("\n", 0, found) + 1)
        return Span(line=line + 1, column=column + 1, length=1 if at_end else len(words))


def parse_yaml(path: str, text: str) -> Document:
    """Read one YAML file.

    Raises:
        InvalidInput: If it is no YAML, has a key twice, refers to another place of the file, or is empty.
    """
    try:
        return _parsed(path, text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        span = Span(line=mark.line + 1, column=mark.column + 1) if mark else None
        message = f"not valid YAML: {error.problem or error.context}"
        rows = text.splitlines()
        hint = _yaml_hint(rows[mark.line]) if mark and mark.line < len(rows) else ""
        issue = Issue(path=path, message=message, hint=hint, span=span, source=text)
        raise InvalidInput("definition.yaml", [issue]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        message = f"not valid YAML: the character U+{code:04X} in line {line}"
        raise InvalidInput("definition.yaml", [Issue(path=path, message=message)]) from error
    except RecursionError as error:
        message = "not valid YAML: brackets are nested too deeply"
        raise InvalidInput("definition.yaml", [Issue(path=path, message=message)]) from error


def _parsed(path: str, text: str) -> Document:
    loader = _Loader(text.removeprefix("\ufeff"))
    try:
        node = loader.get_single_node()
        if node is None:
            raise InvalidInput("definition.empty", [Issue(path=path, message="the file is empty")])
        places = _Places(path, text)
        places.collect(node, ())
        data = loader.construct_document(node)
        return Document(path=path, text=text, data=data, spans=places.spans, keys=places.keys)
    finally:
        loader.dispose()


def _yaml_hint(row: str) -> str:
    """What usually is the matter with a line that is no YAML."""
    _, _, value = row.partition(": ")
    return "put the value into quotes, or on lines of its own after `>`" if ": " in value or "#" in value else ""


class _Places:
    """Where the values and keys of a file stand."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.spans: dict[Path, Span] = {}
        self.keys: dict[Path, Span] = {}
        self._seen: set[int] = set()

    def collect(self, node: yaml.Node, at: Path) -> None:
        """Note where `node`, which stands at `at`, and all below it begin."""
        span = _span(node)
        if id(node) in self._seen:
            raise self._fault("definition.alias", span, "an alias (*name) is not read here", "write the value out")
        self._seen.add(id(node))
        self.spans.setdefault(at, span)
        if isinstance(node, yaml.SequenceNode):
            for place, child in enumerate(node.value):
                self.collect(child, (*at, place))
        elif isinstance(node, yaml.MappingNode):
            for name, child in node.value:
                self._pair(name, child, at)

    def _pair(self, name: yaml.Node, child: yaml.Node, at: Path) -> None:
        span = _span(name)
        if not isinstance(name, yaml.ScalarNode):
            raise self._fault("definition.key", span, "a key must be text", "write `name: ...`")
        key = (*at, name.value)
        if key in self.keys:
            raise self._fault("definition.twice", span, f"{name.value!r} stands twice", "take one of them out")
        self.keys[key] = span
        if isinstance(child, yaml.MappingNode | yaml.SequenceNode):
            self.spans[key] = span
        self.collect(child, key)

    def _fault(self, code: str, span: Span, message: str, hint: str) -> InvalidInput:
        return InvalidInput(code, [Issue(path=self.path, message=message, hint=hint, span=span, source=self.text)])


def _span(node: yaml.Node) -> Span:
    start, end = node.start_mark, node.end_mark
    length = end.column - start.column if end.line == start.line else 1
    return Span(line=start.line + 1, column=start.column + 1, length=max(1, length))


def parse_toml(path: str, text: str) -> Document:
    """Read one TOML file; places are found by looking for the key under its ``[section]``.

    Raises:
        InvalidInput: If it is no TOML.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+), column (\d+)", str(error))
        span = Span(line=int(place[1]), column=int(place[2])) if place else None
        message = f"not valid TOML: {str(error).partition(' (at')[0]}"
        raise InvalidInput("settings.toml", [Issue(path=path, message=message, span=span, source=text)]) from error
    spans = dict(_toml_spans(text))
    return Document(path=path, text=text, data=data, spans=spans, keys=spans)


def _toml_spans(text: str) -> Iterator[tuple[Path, Span]]:
    section: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if heading := re.match(r"\s*\[([\w.\-]+)\]", line):
            section = tuple(heading[1].split("."))
            yield section, Span(line=number, column=heading.start(1) + 1, length=len(heading[1]))
        elif key := re.match(r"\s*([\w\-]+)\s*=", line):
            yield (*section, key[1]), Span(line=number, column=key.start(1) + 1, length=len(key[1]))


_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\[(\.\.\.)\]")
_UNKNOWN = re.compile(r"unknown field `(.+?)`")


def convert(document: Document, at: Path, kind: type[T]) -> T:
    """The value at `at` of a document as `kind`, a msgspec Struct.

    Raises:
        InvalidInput: With the place of the first value that does not fit.
    """
    value: Any = document.data
    for step in at:
        value = value[step]
    try:
        return converted(value, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput("definition.invalid", [explain(document, at, value, kind, str(error))]) from error


def explain(document: Document, at: Path, value: Any, kind: type, text: str) -> Issue:
    """What msgspec said of `value`, which stands at `at` and should be a `kind`, with its place in the file."""
    match = _AT.match(text)
    what = match["what"] if match else text
    steps = [a or (int(b) if b else None) for a, b, _ in _STEP.findall((match and match["path"]) or "")]
    unknown = _UNKNOWN.search(what)
    wanted = unknown[1] if unknown else None
    places = list(_walk(value, steps))
    inner = next((path for path, found in places if not wanted or (isinstance(found, dict) and wanted in found)), ())
    if wanted:
        return document.key_issue((*at, *inner, wanted), f"unknown key {wanted!r}", _known_fields(kind, inner, wanted))
    found = next((found for path, found in places if path == inner), value)
    message = what.replace("`", "'")
    if not isinstance(found, dict | list) and repr(found) not in message:
        message += f" ({found!r})"
    return document.issue((*at, *inner), message, _value_hint(kind, inner, what, found))


def _value_hint(kind: type, inner: Path, what: str, found: Any) -> str:
    if "Expected `str" in what and isinstance(found, bool | int | float):
        return "put it into quotes"
    if what.startswith("Invalid enum value") and inner:
        values = {
            value
            for struct in _structs(kind)
            for field in struct.fields
            if field.encode_name == inner[-1]
            for value in getattr(_bare(field.type), "values", ())
        }
        return nearest(str(found), map(str, values))
    return ""


def _bare(info: Any) -> Any:
    """The literal in a type that may be missing."""
    options = [one for one in getattr(info, "types", (info,)) if isinstance(one, msgspec.inspect.LiteralType)]
    return options[0] if options else info


def _walk(value: Any, steps: Sequence[str | int | None]) -> Iterator[tuple[Path, Any]]:
    if not steps:
        yield (), value
        return
    step, rest = steps[0], steps[1:]
    if step is None and isinstance(value, dict):
        keys: list[Any] = list(value)
    elif isinstance(value, list) and (step is None or isinstance(step, int)):
        keys = list(range(len(value))) if step is None else [step]
    else:
        keys = [step]
    for key in keys:
        try:
            inner = value[key]
        except (KeyError, IndexError, TypeError):
            continue
        for path, found in _walk(inner, rest):
            yield (key, *path), found


def _known_fields(kind: type, inner: Path, wanted: str) -> str:
    """The nearest field name of any struct inside `kind`; msgspec does not say which one it was."""
    structs = [one for one in _structs(kind) if not inner or one.cls is not kind]
    return nearest(wanted, {field.encode_name for one in structs for field in one.fields})


def _structs(kind: type) -> list[msgspec.inspect.StructType]:
    """`kind` and all structs inside it."""
    found: list[msgspec.inspect.StructType] = []
    pending: list[Any] = [msgspec.inspect.type_info(kind)]
    seen: set[int] = set()
    while pending:
        info = pending.pop()
        if id(info) in seen:
            continue
        seen.add(id(info))
        if isinstance(info, msgspec.inspect.StructType):
            found.append(info)
            pending += [field.type for field in info.fields]
        for attribute in ("types", "item_type", "value_type", "key_type", "item_types", "type"):
            part = getattr(info, attribute, None)
            pending += list(part) if isinstance(part, tuple) else [part] if part is not None else []
    return found
