"""Text files of a project into typed values, with errors that point at file, line and the nearest right word."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import yaml

from mailwright.core.errors import InvalidInput, Issue, Span, nearest

T = TypeVar("T")
Path = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's scalars: ``on``, ``yes`` and dates stay text; only true, false, null and numbers are more."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


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


def parse_yaml(path: str, text: str) -> Document:
    """Read one YAML file.

    Raises:
        InvalidInput: If it is no YAML, has a key twice, or is empty.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise InvalidInput("definition.empty", [Issue(path=path, message="the file is empty")])
        spans: dict[Path, Span] = {}
        keys: dict[Path, Span] = {}
        _collect(node, (), spans, keys, path, text)
        return Document(path=path, text=text, data=loader.construct_document(node), spans=spans, keys=keys)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        span = Span(line=mark.line + 1, column=mark.column + 1) if mark else None
        message = f"not valid YAML: {error.problem or error.context}"
        raise InvalidInput("definition.yaml", [Issue(path=path, message=message, span=span, source=text)]) from error
    except yaml.YAMLError as error:
        raise InvalidInput("definition.yaml", [Issue(path=path, message=f"not valid YAML: {error}")]) from error
    finally:
        loader.dispose()


def _collect(node: yaml.Node, at: Path, spans: dict[Path, Span], keys: dict[Path, Span], path: str, text: str) -> None:
    start = node.start_mark
    length = node.end_mark.column - start.column if node.end_mark.line == start.line else 1
    spans.setdefault(at, Span(line=start.line + 1, column=start.column + 1, length=max(1, length)))
    if isinstance(node, yaml.SequenceNode):
        for place, child in enumerate(node.value):
            _collect(child, (*at, place), spans, keys, path, text)
    elif isinstance(node, yaml.MappingNode):
        for name, child in node.value:
            key = (*at, name.value)
            span = Span(line=name.start_mark.line + 1, column=name.start_mark.column + 1, length=len(name.value) or 1)
            if key in keys:
                message = f"{name.value!r} stands twice"
                raise InvalidInput("definition.twice", [Issue(path=path, message=message, span=span, source=text)])
            keys[key] = span
            if isinstance(child, yaml.MappingNode | yaml.SequenceNode):
                spans[key] = span
            _collect(child, key, spans, keys, path, text)


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
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput("definition.invalid", [_explain(document, at, value, kind, str(error))]) from error


def _explain(document: Document, at: Path, value: Any, kind: type, text: str) -> Issue:
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
    shown = repr(found) if not isinstance(found, dict | list) else type(found).__name__
    message = f"{what.replace('`', chr(39))} ({shown})"
    return document.issue((*at, *inner), message)


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
    names: set[str] = set()
    pending: list[Any] = [msgspec.inspect.type_info(kind)]
    seen: set[int] = set()
    while pending:
        info = pending.pop()
        if id(info) in seen:
            continue
        seen.add(id(info))
        if isinstance(info, msgspec.inspect.StructType):
            if not inner or info.cls is not kind:
                names |= {field.encode_name for field in info.fields}
            pending += [field.type for field in info.fields]
        for attribute in ("types", "item_type", "value_type", "key_type", "item_types", "type"):
            part = getattr(info, attribute, None)
            pending += list(part) if isinstance(part, tuple) else [part] if part is not None else []
    return nearest(wanted, names)
