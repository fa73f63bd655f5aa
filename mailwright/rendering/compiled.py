"""Compiled templates: rendered for any number of recipients, and asked which variables they need."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from liquid.exceptions import LiquidError

from mailwright.core.errors import InvalidInput, Issue, nearest
from mailwright.rendering import plain_text
from mailwright.rendering.compile_mjml import compile_mjml
from mailwright.rendering.liquid_environment import (
    LimitedTemplate,
    LiquidEnvironment,
    RenderLimitError,
    TemplateEnvironment,
    liquid_issue,
    parse,
)
from mailwright.rendering.source import SourceMap

_SPACES: Final = re.compile(r"\s+")
# Control characters, surrogates, non-characters: neither XML nor UTF-8 may hold them, and data now and then does.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


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


@dataclass(frozen=True, slots=True)
class Part:
    """A parsed Liquid text that knows where it was written."""

    template: LimitedTemplate
    source: SourceMap = field(repr=False)

    @classmethod
    def of(cls, environment: LiquidEnvironment, source: SourceMap, name: str) -> Part:
        """Parse it; InvalidInput ``template.liquid`` if it is no Liquid."""
        return cls(parse(environment, source, name), source)

    def render(self, variables: Mapping[str, object], snippets: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
        """The text and the undefined variables in it."""
        try:
            text, blanks = self.template.render_recorded(variables)
        except LiquidError as error:
            code = "template.limit" if _is_limit(error) else "template.render"
            raise InvalidInput(code, [self._issue(error, snippets)]) from None
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
            # Liquid was given a value that no filter or comparison foresaw; one odd value must not stop the sender.
            path = self.source.pieces[0].path
            message = f"it cannot be rendered with these values: {type(error).__name__}: {error}"
            raise InvalidInput.one("template.render", message, path=path) from error
        return _UNPRINTABLE.sub("", text), blanks

    def _issue(self, error: LiquidError, snippets: Mapping[str, str]) -> Issue:
        name = str(error.template_name or "")
        source = SourceMap.of(snippets[name], f"snippets/{name}") if name in snippets else self.source
        return liquid_issue(error, source, self.template.env)


def _is_limit(error: LiquidError) -> bool:
    return isinstance(error, RenderLimitError) or "Limit" in type(error).__name__ or "Depth" in type(error).__name__


@dataclass(frozen=True, slots=True)
class LateBody:
    """A body whose layout depends on Liquid: rendered to MJML, then compiled, for each recipient."""

    part: Part
    social_icon_origin: str

    def render(self, variables: Mapping[str, object], snippets: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
        """The HTML and the undefined variables in it."""
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
    body: Part | LateBody = field(repr=False)
    parts: Mapping[str, Part] = field(repr=False)

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
        # The HTML before the text derived from it, so that a fault in both is told where the author wrote it.
        for name in ("subject", "preheader", "html", "text"):
            part = self.body if name == "html" else self.parts[name]
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
