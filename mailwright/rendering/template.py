"""Templates: read once, compiled once per version, rendered per recipient."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import yaml
from liquid.exceptions import LiquidError
from liquid.static_analysis import Variable

from mailwright.core.errors import InvalidInput, Issue, nearest
from mailwright.rendering import plain_text, shield
from mailwright.rendering.compile_mjml import compile_mjml
from mailwright.rendering.lint import lint
from mailwright.rendering.liquid_environment import (
    LimitedTemplate,
    LiquidEnvironment,
    RenderLimitError,
    TemplateEnvironment,
    liquid_issue,
    parse,
)
from mailwright.rendering.markup import LIQUID, MASK, Document, Fault, normalise, read
from mailwright.rendering.shield import Edit
from mailwright.rendering.source import Piece, SourceMap

# Raised when the same source would compile to other bytes than before.
FORMAT: Final = 1
_FRONT_MATTER: Final = re.compile(r"\A﻿?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_FIELDS: Final = ("subject", "preheader", "text")
_INCLUDE: Final = re.compile(r"<mj-include\s+path\s*=\s*[\"']([^\"'<>\ue000]+)[\"']\s*(?:/>|>\s*</mj-include\s*>)")
_INCLUDE_DEPTH: Final = 8
_PARTIAL: Final = re.compile(r"\{%-?\s*(?:render|include)\s+['\"]([^'\"]+)['\"]")
# Keeps the mail's first words out of the inbox line behind a short preheader.
_PREHEADER_PADDING: Final = "&#847; &zwnj; &nbsp; " * 30
_SPACES: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What an author writes. `subject`, `preheader` and `text` are Liquid; `mjml` is MJML with Liquid.

    Attributes:
        text: The text part; None: derived from the MJML.
        path: The file, for messages.
        source: The whole file, and `offsets` where each field's value begins in it, for carets.
    """

    name: str
    subject: str
    mjml: str
    preheader: str = ""
    text: str | None = None
    path: str = ""
    source: str = field(default="", repr=False)
    offsets: Mapping[str, int] = field(default_factory=dict, repr=False)

    def part(self, name: str) -> SourceMap:
        """One field's text, knowing where it was written."""
        text = str(getattr(self, name) or "")
        offset = self.offsets.get(name, 0)
        path = self.path or self.name
        if self.source[offset : offset + len(text)] == text:
            return SourceMap(text, (Piece(start=0, path=path, text=self.source, offset=offset),))
        return SourceMap.of(text, path if name == "mjml" else f"{path}: {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """One recipient's mail.

    Attributes:
        blanks: Undefined variables that were printed as nothing, in order of appearance.
    """

    subject: str
    preheader: str
    html: str = field(repr=False)
    text: str = field(repr=False)
    blanks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableUse:
    """A global variable that a template reads, as a dotted path, and the first place where it does."""

    path: str
    issue: Callable[[str, str], Issue] = field(repr=False, compare=False)


def parse_template(name: str, text: str, path: str = "") -> Template:
    """Read a template file: YAML front matter between ``---`` lines, then MJML.

    Raises:
        InvalidInput: ``template.front_matter``, if the front matter is missing, no YAML, without a subject, or has
            an unknown field.
    """
    path = path or f"templates/{name}.mjml"
    found = _FRONT_MATTER.match(text)
    whole = SourceMap.of(text, path)
    if found is None:
        hint = "begin the file with ---, subject: ..., preheader: ..., ---"
        raise InvalidInput("template.front_matter", [whole.issue(0, 3, "the template has no front matter", hint)])
    values, offsets = _front_matter(found[1], found.start(1), whole)
    return Template(
        name=name,
        subject=values["subject"],
        preheader=values.get("preheader", ""),
        text=values.get("text"),
        mjml=text[found.end() :],
        path=path,
        source=text,
        offsets={**offsets, "mjml": found.end()},
    )


def _front_matter(block: str, start: int, whole: SourceMap) -> tuple[dict[str, str], dict[str, int]]:
    def fault(offset: int, length: int, message: str, hint: str = "") -> InvalidInput:
        return InvalidInput("template.front_matter", [whole.issue(offset, length, message, hint)])

    try:
        node = yaml.compose(block, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        hint = 'put a value with Liquid in quotes: subject: "Hello {{ name }}"'
        raise fault(start + (mark.index if mark else 0), 1, f"no YAML: {error.problem}", hint) from None
    values: dict[str, str] = {}
    offsets: dict[str, int] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        place, size = start + key.start_mark.index, key.end_mark.index - key.start_mark.index
        if key.value not in _FIELDS:
            raise fault(place, size, f"unknown field {key.value!r}", nearest(str(key.value), _FIELDS))
        if not isinstance(value, yaml.ScalarNode):
            raise fault(place, size, f"{key.value} is no text", 'put a value with Liquid in quotes: "{{ name }}"')
        values[key.value] = value.value
        offsets[key.value] = start + value.start_mark.index + (1 if value.style in ("'", '"') else 0)
    if not values.get("subject", "").strip():
        raise fault(start, 1, "the front matter has no subject", "add a line subject: ...")
    return values, offsets


# --- compiling


def compile_template(
    template: Template, snippets: Mapping[str, str] | None = None, environment: TemplateEnvironment | None = None
) -> CompiledTemplate:
    """Check a template and compile it; once per version.

    Args:
        template: What the author wrote.
        snippets: Name -> MJML, HTML or text, for ``<mj-include path="name" />`` and ``{% render 'name' %}``.
        environment: What the project's templates share.

    Raises:
        InvalidInput: ``template.mjml`` (all faults of the markup), ``template.liquid``, ``template.snippet``.
    """
    return _Compiler(template, dict(snippets or {}), environment or TemplateEnvironment()).run()


class _Compiler:
    def __init__(self, template: Template, snippets: dict[str, str], settings: TemplateEnvironment) -> None:
        self.template = template
        self.snippets = snippets
        self.settings = settings
        self.used_snippets: set[str] = set()

    def run(self) -> CompiledTemplate:
        template = self.template
        source = self._included(template.part("mjml"), ())
        source = SourceMap(normalise(source.text), source.pieces)
        document = self._checked(source)
        partials = self._partials([source.text, template.subject, template.preheader, template.text or ""])
        self.html_environment = LiquidEnvironment(self.settings, {}, escape=True)
        self.text_environment = LiquidEnvironment(self.settings, self._text_partials(partials), escape=False)
        self.html_environment.loader = LiquidEnvironment(self.settings, self._guarded(partials), escape=True).loader
        parts = {name: _Part.of(self.text_environment, template.part(name), name) for name in ("subject", "preheader")}
        written = _Part.of(self.html_environment, source, "mjml")
        text = template.part("text") if template.text is not None else self._derived(document, source)
        parts["text"] = _Part.of(self.text_environment, text, "text")
        plan = shield.plan(document, frozenset(name for name in partials if "<mj-" in self.snippets[name]))
        self._refuse(plan.faults, source)
        body, reasons = self._body(document, source, plan)
        return CompiledTemplate(
            name=template.name,
            version=self._version(),
            per_recipient=tuple(str(source.issue(r.start, r.length, r.message)) for r in reasons),
            uses=self._uses([parts["subject"], parts["preheader"], written, parts["text"]]),
            settings=self.settings,
            path=template.path or template.name,
            snippets=self.snippets,
            body=body,
            parts=parts,
        )

    def _included(self, source: SourceMap, chain: tuple[str, ...]) -> SourceMap:
        masked = LIQUID.sub(lambda m: MASK * len(m[0]), source.text)
        texts: list[str] = []
        pieces: list[Piece] = []
        place = length = 0
        for found in _INCLUDE.finditer(masked):
            inner = self._snippet(found[1], source, found.start(1), chain)
            literal = source.text[place : found.start()]
            moved = length + len(literal)
            pieces += [source.piece_at(place, length)]
            pieces += [Piece(start=moved + p.start, path=p.path, text=p.text, offset=p.offset) for p in inner.pieces]
            texts += [literal, inner.text]
            length, place = moved + len(inner.text), found.end()
        return SourceMap("".join([*texts, source.text[place:]]), (*pieces, source.piece_at(place, length)))

    def _snippet(self, name: str, source: SourceMap, offset: int, chain: tuple[str, ...]) -> SourceMap:
        if name not in self.snippets:
            hint = nearest(name, self.snippets) or "the project has no snippets"
            issue = source.issue(offset, len(name), f"there is no snippet {name!r}", hint)
            raise InvalidInput("template.snippet", [issue])
        if name in chain or len(chain) >= _INCLUDE_DEPTH:
            message = f"snippet {name!r} includes itself" if name in chain else "snippets are nested too deep"
            raise InvalidInput("template.snippet", [source.issue(offset, len(name), message)])
        self.used_snippets.add(name)
        return self._included(SourceMap.of(self.snippets[name], f"snippets/{name}"), (*chain, name))

    def _checked(self, source: SourceMap, *, fragment: bool = False) -> Document:
        document = read(source.text)
        icons = bool(self.settings.social_icon_origin)
        self._refuse(lint(document, fragment=fragment, social_icons=icons), source)
        return document

    @staticmethod
    def _refuse(faults: Collection[Fault], source: SourceMap) -> None:
        if faults:
            raise InvalidInput("template.mjml", [source.issue(f.start, f.length, f.message, f.hint) for f in faults])

    def _partials(self, texts: list[str]) -> list[str]:
        """Names of the snippets that Liquid renders, also from within others."""
        found: dict[str, None] = {}
        waiting = list(texts)
        while waiting:
            for name in _PARTIAL.findall(waiting.pop()):
                if name in self.snippets and name not in found:
                    found[name] = None
                    waiting.append(self.snippets[name])
        self.used_snippets.update(found)
        return list(found)

    def _guarded(self, names: list[str]) -> dict[str, str]:
        guarded = {}
        for name in names:
            source = SourceMap.of(normalise(self.snippets[name]), f"snippets/{name}")
            plan = shield.plan(self._checked(source, fragment=True))
            self._refuse(plan.faults, source)
            guarded[name] = shield.guarded(source, plan.edits).text
        return guarded

    def _text_partials(self, names: list[str]) -> dict[str, str]:
        return {
            name: plain_text.derive(read(normalise(text))).strip() if "<" in (text := self.snippets[name]) else text
            for name in names
        }

    def _derived(self, document: Document, source: SourceMap) -> SourceMap:
        text = plain_text.derive(document)
        return SourceMap.of(text, f"{source.pieces[0].path}: text part")

    def _body(self, document: Document, source: SourceMap, plan: shield.Plan) -> tuple[_Part | _LateBody, list[Fault]]:
        edits = sorted([*plan.edits, *self._head(document)], key=lambda edit: edit.start)
        late = _LateBody(
            _Part.of(self.html_environment, shield.guarded(source, edits), "html"),
            self.settings.social_icon_origin,
        )
        if plan.reasons:
            return late, plan.reasons
        path = source.pieces[0].path
        marked = shield.shielded(source, edits)
        compiled = compile_mjml(marked, social_icon_origin=self.settings.social_icon_origin, path=path)
        restored = shield.unshielded(compiled, source, edits)
        if restored is None:
            return late, [Fault(0, 1, "the compiler moved Liquid")]
        return _Part.of(self.html_environment, restored, "html"), []

    def _head(self, document: Document) -> list[Edit]:
        """The title and the preview text, where the author wrote none."""
        elements = {element.name: element for element in reversed(document.elements())}
        template = self.template
        title = shield.escaped_liquid(template.subject) if "mj-title" not in elements else ""
        preview = shield.escaped_liquid(template.preheader) if "mj-preview" not in elements else ""
        head = elements.get("mj-head")
        place = head.open_end if head else elements["mjml"].open_end
        edits = []
        for name, text, padding in (("mj-title", title, ""), ("mj-preview", preview, _PREHEADER_PADDING)):
            if text.strip():
                before, after = f"<{name}>", f"{padding}</{name}>"
                if not head:
                    before, after = f"<mj-head>{before}", f"{after}</mj-head>"
                edits.append(Edit(place, place, text, "word", before, after))
        return edits

    def _version(self) -> str:
        template = self.template
        parts: list[Any] = [FORMAT, template.subject, template.preheader, template.mjml, template.text]
        parts += [sorted((name, self.snippets[name]) for name in self.used_snippets)]
        parts += [str(self.settings.zone), self.settings.currency, self.settings.social_icon_origin]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:16]

    def _uses(self, parts: list[_Part]) -> tuple[VariableUse, ...]:
        uses: dict[str, VariableUse] = {}
        for part in parts:
            for variables in part.template.analyze().globals.values():
                for variable in variables:
                    self._use(part, variable, uses)
        return tuple(uses[path] for path in sorted(uses))

    def _use(self, part: _Part, variable: Variable, uses: dict[str, VariableUse]) -> None:
        names = []
        for segment in variable.segments:
            if not isinstance(segment, str):
                break
            names.append(segment)
        path = ".".join(names)
        span = variable.span
        source = part.source
        if span.template_name in self.snippets:
            source = SourceMap.of(self.snippets[span.template_name], f"snippets/{span.template_name}")
        if path and path not in uses:
            uses[path] = VariableUse(
                path=path, issue=lambda message, hint: source.issue(span.index, len(path), message, hint)
            )


# --- rendering


@dataclass(frozen=True, slots=True)
class _Part:
    """A parsed Liquid text that knows where it was written."""

    template: LimitedTemplate
    source: SourceMap = field(repr=False)

    @classmethod
    def of(cls, environment: LiquidEnvironment, source: SourceMap, name: str) -> _Part:
        return cls(parse(environment, source, name), source)

    def render(self, variables: Mapping[str, object], snippets: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
        try:
            return self.template.render_recorded(variables)
        except LiquidError as error:
            code = "template.limit" if _is_limit(error) else "template.render"
            raise InvalidInput(code, [self._issue(error, snippets)]) from None

    def _issue(self, error: LiquidError, snippets: Mapping[str, str]) -> Issue:
        name = str(error.template_name or "")
        source = SourceMap.of(snippets[name], f"snippets/{name}") if name in snippets else self.source
        return liquid_issue(error, source, self.template.env)


def _is_limit(error: LiquidError) -> bool:
    return isinstance(error, RenderLimitError) or "Limit" in type(error).__name__ or "Depth" in type(error).__name__


@dataclass(frozen=True, slots=True)
class _LateBody:
    """A body whose layout depends on Liquid: rendered to MJML, then compiled, for each recipient."""

    part: _Part
    social_icon_origin: str

    def render(self, variables: Mapping[str, object], snippets: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
        mjml, blanks = self.part.render(variables, snippets)
        path = self.part.source.pieces[0].path
        return compile_mjml(mjml, social_icon_origin=self.social_icon_origin, path=path), blanks


@dataclass(frozen=True, kw_only=True)
class CompiledTemplate:
    """A template ready to be rendered for any number of recipients.

    Attributes:
        version: Digest of everything that decides the output: the same version and variables give the same bytes.
        per_recipient: Why it is compiled anew for each recipient; empty if it was compiled once.
        uses: Global variables that it reads, each once, by path.
    """

    name: str
    version: str
    per_recipient: tuple[str, ...]
    uses: tuple[VariableUse, ...]
    settings: TemplateEnvironment
    path: str
    snippets: Mapping[str, str] = field(repr=False)
    body: _Part | _LateBody = field(repr=False)
    parts: Mapping[str, _Part] = field(repr=False)

    @cached_property
    def variables(self) -> frozenset[str]:
        """Paths of the global variables that it reads, such as ``hero.headline``."""
        return frozenset(use.path for use in self.uses)

    def render(self, variables: Mapping[str, object]) -> Rendered:
        """Render for one recipient. `variables` are plain JSON-shaped values; ``now`` (ISO text) serves date filters.

        Raises:
            InvalidInput: ``template.limit`` if it does more than a mail may, ``template.render`` for a filter that
                cannot take its value.
        """
        texts: dict[str, str] = {}
        blanks: list[str] = []
        for name, part in [*self.parts.items(), ("html", self.body)]:
            texts[name], missed = part.render(variables, self.snippets)
            blanks += missed
        return Rendered(
            subject=one_line(texts["subject"]),
            preheader=one_line(texts["preheader"]),
            html=texts["html"],
            text=plain_text.tidy(texts["text"]),
            blanks=tuple(dict.fromkeys(blanks)),
        )


def one_line(text: str) -> str:
    """Text as it may stand in a header: one line, no control or line-separator characters."""
    spaced = _SPACES.sub(" ", text)
    return "".join(c for c in spaced if c.isprintable() or unicodedata.category(c) in ("Zs", "Cf")).strip()


def missing_variables(compiled: CompiledTemplate, provided: Collection[str]) -> list[Issue]:
    """Variables that the template reads and nobody provides, with the nearest name that somebody does.

    Args:
        compiled: The template.
        provided: Dotted paths. ``hero`` alone allows any field of it; once a field of ``hero`` is listed, only the
            listed ones exist.
    """
    known = set(provided)
    return [
        use.issue(f"nobody provides the variable {use.path!r}", nearest(use.path, known))
        for use in compiled.uses
        if not _is_provided(use.path, known)
    ]


# Lists and texts answer to these without having such a field.
_BUILT_IN: Final = frozenset({"size", "first", "last"})


def _is_provided(path: str, known: Collection[str]) -> bool:
    names = path.split(".")
    for n in range(len(names), 0, -1):
        prefix = ".".join(names[:n])
        fields = any(other.startswith(prefix + ".") for other in known)
        if prefix in known or fields:
            return n == len(names) or names[n] in _BUILT_IN or not fields
    return False
