"""Checks a template and compiles it, once per version."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from liquid.static_analysis import Variable

from mailwright.core.errors import InvalidInput, nearest
from mailwright.rendering import edits as carrying
from mailwright.rendering import plain_text, shield
from mailwright.rendering.compile_mjml import compile_mjml
from mailwright.rendering.compiled import CompiledTemplate, LateBody, Part, VariableUse
from mailwright.rendering.edits import Edit
from mailwright.rendering.front_matter import Template
from mailwright.rendering.lint import lint
from mailwright.rendering.liquid_environment import LiquidEnvironment, TemplateEnvironment
from mailwright.rendering.markup import LIQUID, MASK, Document, Fault, normalise, read
from mailwright.rendering.source import Piece, SourceMap

# Raised when the same source would compile to other bytes than before.
FORMAT: Final = 1
_INCLUDE: Final = re.compile(r"<mj-include\s+path\s*=\s*[\"']([^\"'<>\ue000]+)[\"']\s*(?:/>|>\s*</mj-include\s*>)")
_INCLUDE_DEPTH: Final = 8
_PARTIAL: Final = re.compile(r"\{%-?\s*(?:render|include)\s+['\"]([^'\"]+)['\"]")
# Keeps the mail's first words out of the inbox line behind a short preheader.
_PREHEADER_PADDING: Final = "&#847; &zwnj; &nbsp; " * 30


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
        parts = {name: Part.of(self.text_environment, template.part(name), name) for name in ("subject", "preheader")}
        written = Part.of(self.html_environment, source, "mjml")
        text = template.part("text") if template.text is not None else self._derived(document, source)
        parts["text"] = Part.of(self.text_environment, text, "text")
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
            guarded[name] = carrying.guarded(source, plan.edits).text
        return guarded

    def _text_partials(self, names: list[str]) -> dict[str, str]:
        return {
            name: plain_text.derive(read(normalise(text))).strip() if "<" in (text := self.snippets[name]) else text
            for name in names
        }

    def _derived(self, document: Document, source: SourceMap) -> SourceMap:
        text = plain_text.derive(document)
        return SourceMap.of(text, f"{source.pieces[0].path}: text part")

    def _body(self, document: Document, source: SourceMap, plan: shield.Plan) -> tuple[Part | LateBody, list[Fault]]:
        edits = sorted([*plan.edits, *self._head(document)], key=lambda edit: edit.start)
        late = LateBody(
            Part.of(self.html_environment, carrying.guarded(source, edits), "html"),
            self.settings.social_icon_origin,
        )
        if plan.reasons:
            return late, plan.reasons
        path = source.pieces[0].path
        marked = carrying.shielded(source, edits)
        compiled = compile_mjml(marked, social_icon_origin=self.settings.social_icon_origin, path=path)
        restored = carrying.unshielded(compiled, source, edits)
        if restored is None:
            return late, [Fault(0, 1, "the compiler moved Liquid")]
        return Part.of(self.html_environment, restored, "html"), []

    def _head(self, document: Document) -> list[Edit]:
        """The title and the preview text, where the author wrote none."""
        elements = {element.name: element for element in reversed(document.elements())}
        template = self.template
        title = carrying.escaped_liquid(template.subject) if "mj-title" not in elements else ""
        preview = carrying.escaped_liquid(template.preheader) if "mj-preview" not in elements else ""
        head = elements.get("mj-head")
        place = head.open_end if head else elements["mjml"].open_end
        wanted = [("mj-title", title, ""), ("mj-preview", preview, _PREHEADER_PADDING)]
        edits = [
            Edit(place, place, text, "word", f"<{name}>", f"{padding}</{name}>")
            for name, text, padding in wanted
            if text.strip()
        ]
        if edits and not head:
            edits[0] = replace(edits[0], before=f"<mj-head>{edits[0].before}")
            edits[-1] = replace(edits[-1], after=f"{edits[-1].after}</mj-head>")
        return edits

    def _version(self) -> str:
        template = self.template
        parts: list[Any] = [FORMAT, template.subject, template.preheader, template.mjml, template.text]
        parts += [sorted((name, self.snippets[name]) for name in self.used_snippets)]
        parts += [str(self.settings.zone), self.settings.currency, self.settings.social_icon_origin]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:16]

    def _uses(self, parts: list[Part]) -> tuple[VariableUse, ...]:
        uses: dict[str, VariableUse] = {}
        for part in parts:
            for variables in part.template.analyze().globals.values():
                for variable in variables:
                    self._use(part, variable, uses)
        return tuple(uses[path] for path in sorted(uses))

    def _use(self, part: Part, variable: Variable, uses: dict[str, VariableUse]) -> None:
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
