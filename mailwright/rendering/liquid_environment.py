"""Liquid as Mailwright speaks it: strict, deterministic, limited, and escaping in HTML.

python-liquid limits nesting, output and a single loop nest. What it leaves open is closed here: filters may grow
strings without bound, ranges become lists, and loops one after the other are not added up. Every render has one
`Spending` that all of these are charged to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import partial
from io import StringIO
from typing import Any, Final, TextIO

import liquid
from liquid import DictLoader, Mode, RenderContext
from liquid.builtin.output import Output, OutputNode
from liquid.exceptions import LiquidError
from liquid.output import LimitedStringIO
from liquid.stringify import to_liquid_string
from liquid.undefined import is_undefined
from liquid.utils import ReadOnlyChainMap

from mailwright.core.errors import InvalidInput, Issue, nearest
from mailwright.rendering import filters
from mailwright.rendering.blankness import settle_blank
from mailwright.rendering.markup import unclosed_block
from mailwright.rendering.source import SourceMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one render may use.

    Attributes:
        loop_iterations: Sum over all loops. A mail shows tens of items; ten thousand is a mistake.
        output_chars: Of one part. Gmail clips a mail at 102 KB.
        string_chars: Of any one value a filter makes or takes.
        list_items: Of any list or range a filter takes or makes.
        work: Sum of the sizes of all values that filters take and make (characters, or items times eight).
    """

    loop_iterations: int = 10_000
    output_chars: int = 1_000_000
    string_chars: int = 256_000
    list_items: int = 10_000
    work: int = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateEnvironment:
    """What all templates of a project share.

    Attributes:
        zone: Time zone that dates are shown in.
        currency: ISO 4217 code of the ``money`` filter.
        social_icon_origin: Where icons of ``mj-social-element`` lie, ending in a slash; empty: each must give ``src``.
            (The compiler's own default would make every recipient call a third party.)
        limits: Per render.
    """

    zone: tzinfo = UTC
    currency: str = "USD"
    social_icon_origin: str = ""
    limits: Limits = field(default_factory=Limits)


class RenderLimitError(LiquidError):
    """A render used more than its limits allow."""


@dataclass(slots=True)
class Spending:
    """What a render has used so far, and the undefined variables it printed as nothing."""

    limits: Limits
    work: int = 0
    iterations: int = 0
    blanks: list[str] = field(default_factory=list)

    def loop(self, n: int) -> None:
        """Charge `n` iterations."""
        self.iterations += n
        if self.iterations > self.limits.loop_iterations:
            raise RenderLimitError(f"more than {self.limits.loop_iterations:,} loop iterations", token=None)

    def charge(self, chars: int) -> None:
        """Charge a value of this size."""
        self.work += chars
        if chars > self.limits.string_chars:
            raise RenderLimitError(f"a value of more than {self.limits.string_chars:,} characters", token=None)
        if self.work > self.limits.work:
            raise RenderLimitError("filters do more work than a mail can need", token=None)

    def weigh(self, value: object) -> int:
        """Size of a value in characters; a list counts eight an item.

        Raises:
            RenderLimitError: If a list or range is longer than allowed.
        """
        if isinstance(value, str):
            return len(value)
        if isinstance(value, list | tuple | range | dict):
            if len(value) > self.limits.list_items:
                raise RenderLimitError(f"a list of more than {self.limits.list_items:,} items", token=None)
            return 8 * len(value)
        return value.bit_length() // 3 if isinstance(value, int) else 8


def _text(value: object) -> int:
    return len(value) if isinstance(value, str) else 24


def _replaced(value: object, old: object = "", new: object = "", *_: object) -> int:
    text, sought = str(value), str(old)
    return len(text) + (text.count(sought) if sought else len(text) + 1) * _text(new)


def _joined(value: object, separator: object = " ", *_: object) -> int:
    if not isinstance(value, list | tuple | range):
        return _text(value)
    return len(value) * _text(separator) + (sum(map(_text, value)) if not isinstance(value, range) else 8 * len(value))


def _split(value: object, separator: object = "", *_: object) -> int:
    sought = str(separator)
    return 8 * (str(value).count(sought) if sought else _text(value))


def _product(value: object, factor: object = 1, *_: object) -> int:
    # Numbers past 2^1000 are not money; unbounded they double in length with every step.
    return 0 if _bits(value) + _bits(factor) <= 1000 else 10**9


def _bits(number: object) -> int:
    if isinstance(number, int):
        return number.bit_length()
    return 4 * len(number) if isinstance(number, str) else 64


def _pairs(value: object, *_: object) -> int:
    return len(value) ** 2 // 4 if isinstance(value, list | tuple) else 0


_GROWTH: Final[Mapping[str, Callable[..., int]]] = {
    "replace": _replaced,
    "append": lambda value, more="", *_: _text(value) + _text(more),
    "prepend": lambda value, more="", *_: _text(value) + _text(more),
    "join": _joined,
    "split": _split,
    "times": _product,
    "uniq": _pairs,
}


class LimitedOutput(LimitedStringIO):
    """Counts characters; upstream encodes every piece to count bytes, which costs time and fails on odd data."""

    def write(self, text: str) -> int:
        """Write, or raise once the limit is passed."""
        self.size += len(text)
        if self.size > self.limit:
            raise RenderLimitError(f"more than {self.limit:,} characters of output", token=None)
        return StringIO.write(self, text)


class LimitedContext(RenderContext):
    """A render context that charges loops and filters to one `Spending`, shared with the partials it renders."""

    __slots__ = ("spending",)

    def __init__(self, template: liquid.BoundTemplate, **arguments: Any) -> None:
        super().__init__(template, **arguments)
        # Upstream's scope also holds its own `now` and `today`, read from the machine's clock.
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)
        parent = arguments.get("parent_context")
        limits = template.env.limits if isinstance(template.env, LiquidEnvironment) else Limits()
        self.spending: Spending = parent.spending if isinstance(parent, LimitedContext) else Spending(limits)

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        """A buffer for a part of the output, such as a captured block, with what is left of the limit."""
        used = buf.size if isinstance(buf, LimitedStringIO) else 0
        return LimitedOutput(self.spending.limits.output_chars - used)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Charge a loop that is about to run `length` times."""
        self.spending.loop(length)

    def filter(self, name: str, token: liquid.Token | None) -> Callable[..., object]:
        """The filter, charged for what it takes and makes."""
        return partial(self._charged, name, super().filter(name, token=token), token)

    def _charged(
        self, name: str, function: Callable[..., object], token: liquid.Token | None, *values: Any, **named: Any
    ) -> object:
        spending = self.spending
        try:
            for value in values:
                spending.charge(spending.weigh(value))
            if grows := _GROWTH.get(name):
                spending.charge(grows(*values))
            result = function(*values, **named)
            spending.charge(spending.weigh(result))
        except RenderLimitError as error:
            error.token = token
            raise
        except (ValueError, ArithmeticError, RecursionError) as error:
            raise LiquidError(f"{name}: {error}", token=token) from None
        return result


class LimitedTemplate(liquid.BoundTemplate):
    """A parsed template whose renders are limited."""

    context_class = LimitedContext

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        settle_blank(self.nodes, LimitedContext(self))

    def render_recorded(self, variables: Mapping[str, object]) -> tuple[str, tuple[str, ...]]:
        """The text, and the undefined variables that were printed as nothing, in order of appearance."""
        context = LimitedContext(self, globals=variables)
        buffer = LimitedOutput(context.spending.limits.output_chars)
        self.render_with_context(context, buffer)
        return buffer.getvalue(), tuple(dict.fromkeys(context.spending.blanks))


class RecordingOutputNode(OutputNode):
    """``{{ ... }}``; an undefined value is noted before it prints nothing."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write the value."""
        value = self.expression.evaluate(context)
        if is_undefined(value) and isinstance(context, LimitedContext):
            context.spending.blanks.append(str(self.expression))
        return buffer.write(to_liquid_string(value, context.autoescape))


class RecordingOutput(Output):
    """The output statement, with `RecordingOutputNode`."""

    node_class = RecordingOutputNode


class LiquidEnvironment(liquid.Environment):
    """Mailwright's Liquid; `escape` for HTML, without for subject lines and text parts."""

    template_class = LimitedTemplate
    local_namespace_limit = 4_000_000

    def __init__(self, settings: TemplateEnvironment, partials: Mapping[str, str], *, escape: bool) -> None:
        self.limits = settings.limits
        self._settings = settings
        super().__init__(tolerance=Mode.STRICT, loader=DictLoader(dict(partials)), autoescape=escape)

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """Standard Liquid, less ``safe`` (it would let data through unescaped), plus our filters."""
        super().setup_tags_and_filters(extra=extra)
        self.add_tag(RecordingOutput)
        del self.filters["safe"]
        self.add_filter("money", filters.money_filter(self._settings.currency))
        self.add_filter("date", filters.date_filter(self._settings.zone))
        self.add_filter("json", filters.json_filter)
        for name in ("safe_url", "css_value", "json_text", "answer_url", "form_url", "preferences_url"):
            self.add_filter(name, getattr(filters, name))


def parse(environment: LiquidEnvironment, source: SourceMap, name: str) -> LimitedTemplate:
    """Parse Liquid.

    Raises:
        InvalidInput: ``template.liquid``, at the faulty place.
    """
    try:
        template = environment.from_string(source.text, name=name)
    except LiquidError as error:
        raise InvalidInput("template.liquid", [liquid_issue(error, source, environment)]) from None
    assert isinstance(template, LimitedTemplate)  # noqa: S101  # template_class above
    if issues := list(_unknown_filters(template, environment, source)):
        raise InvalidInput("template.liquid", issues)
    return template


def _unknown_filters(template: LimitedTemplate, environment: LiquidEnvironment, source: SourceMap) -> Iterator[Issue]:
    """Liquid itself looks filters up when it comes to them: too late for a recipient."""
    for name, spans in template.analyze(include_partials=False).filters.items():
        if name not in environment.filters:
            hint = nearest(name, environment.filters)
            yield from (source.issue(span.index, len(name), f"unknown filter {name!r}", hint) for span in spans)


_UNKNOWN_TAG: Final = re.compile(r"(?:unexpected|unknown) tag '(\w+)'")


def liquid_issue(error: LiquidError, source: SourceMap, environment: liquid.Environment) -> Issue:
    """A Liquid error told in the author's terms: file, line, caret, and the nearest name for an unknown one."""
    message = str(error.message or "wrong Liquid")
    hint = ""
    if found := _UNKNOWN_TAG.search(message):
        hint = nearest(found[1], [tag for tag in environment.tags if tag.isalpha()])
    token = error.token
    if (token is None or token.start_index < 0) and (open_tag := unclosed_block(source.text)):
        message = f"{open_tag.text} has no {{% end{open_tag.tag} %}}"
        return source.issue(open_tag.start, open_tag.end - open_tag.start, message)
    if token is None or token.start_index < 0:
        return Issue(path=source.pieces[0].path, message=message, hint=hint)
    return source.issue(token.start_index, len(token.value), message, hint)
