"""What a project says about one mail: template, content rules, recommendations, variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast, get_args

import msgspec

from mailwright.core.durations import duration_micros
from mailwright.core.errors import InvalidInput

RECENT_ATTRIBUTE = "recently_bought"
"""The attribute (a list of item ids) that ``exclude_recent`` leaves out."""

RESERVED_NAMES = ("content", "recommendations")
"""What content rules and recommendations are called in a template."""

SourceKind = Literal["trait", "attribute", "segment", "content"]

SOURCE_KINDS = get_args(SourceKind)

Missing = Literal["fallback", "skip", "blank"]


class Source(msgspec.Struct, frozen=True):
    """Where a value comes from: ``trait email.domain``, ``attribute spend``, ``segment vip``, ``content hero.text``."""

    kind: SourceKind
    path: str

    def __str__(self) -> str:
        return f"{self.kind} {self.path}"


def parse_source(text: str) -> Source:
    """Read the ``from`` of a variable.

    Raises:
        ValueError: If it is none; msgspec turns that into an error with its place.
    """
    kind, _, path = text.strip().partition(" ")
    if kind not in SOURCE_KINDS or not path.strip():
        raise ValueError(f"{text!r} is no source: write one of {', '.join(SOURCE_KINDS)} and a name, 'trait firstName'")
    if kind == "content" and "." not in path:
        raise ValueError(f"{text!r} needs a slot and a field: 'content hero.headline'")
    return Source(cast(SourceKind, kind), path.strip())


class VariableDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The contract of one variable of a mail.

    Attributes:
        source: In YAML ``from``: where the value comes from, see `Source`.
        max_age: How old the newest fact behind it may be (``30 days``); an older value counts as missing. None: any.
        fallback: What to use where it is missing.
        on_missing: ``fallback`` uses it; ``skip`` sends no mail; ``blank`` puts empty text.
    """

    source: str = msgspec.field(name="from")
    max_age: str | None = None
    fallback: Any = None
    on_missing: Missing = "fallback"

    def __post_init__(self) -> None:
        parse_source(self.source)
        _duration(self.max_age)
        if self.on_missing == "fallback" and self.fallback is None:
            raise ValueError(
                f"the variable from {self.source!r} has no fallback: give one, or on_missing: skip or blank"
            )


class RecommendDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The recommendations of a mail.

    Attributes:
        sources: Names of models, best first: a ladder. What the first cannot fill, the next one does.
        n: How many items, 1..50.
        exclude_recent: Leave out what attribute ``recently_bought`` lists.
        exclude: Further sources of item ids to leave out, such as ``attribute in_cart``.
        fallback: Item ids to show when the ladder gives none.
        on_missing: With no item at all: ``skip`` sends no mail; ``blank`` and ``fallback`` send it without.
    """

    sources: Annotated[list[str], msgspec.Meta(min_length=1)]
    n: Annotated[int, msgspec.Meta(ge=1, le=50)] = 6
    exclude_recent: bool = False
    exclude: list[str] = []
    fallback: list[str] = []
    on_missing: Missing = "fallback"

    def __post_init__(self) -> None:
        for text in self.exclude:
            parse_source(text)

    def exclusions(self) -> list[Source]:
        """Where the ids of left-out items come from."""
        recent = [Source("attribute", RECENT_ATTRIBUTE)] if self.exclude_recent else []
        return recent + [parse_source(text) for text in self.exclude]


class MailDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One mail.

    Attributes:
        template: Name of a template in ``templates/``.
        subject: Liquid text in place of the template's own subject line.
        content_rules: Names of the content rules that fill the template's slots.
        recommend: None for a mail without recommendations.
        variables: Name in the template -> contract.
    """

    template: Annotated[str, msgspec.Meta(min_length=1)]
    subject: str | None = None
    content_rules: list[str] = []
    recommend: RecommendDefinition | None = None
    variables: dict[str, VariableDefinition] = {}

    def __post_init__(self) -> None:
        for name in RESERVED_NAMES:
            if name in self.variables:
                raise ValueError(f"a variable may not be named {name!r}: templates have that already")


def merged(mail: MailDefinition, overrides: Mapping[str, Any]) -> MailDefinition:
    """The mail with a variant's overrides.

    Under ``recommend`` and ``variables`` only what is named changes; everything else is replaced whole. A null takes
    an optional part away.

    Raises:
        InvalidInput: If the result is no valid mail; the message tells the field.
    """
    plain: dict[str, Any] = msgspec.to_builtins(mail)
    for key, value in overrides.items():
        present = plain.get(key)
        deep = key in ("recommend", "variables") and isinstance(present, dict) and isinstance(value, dict)
        plain[key] = {**present, **value} if deep and present is not None else value
    try:
        return msgspec.convert(plain, MailDefinition)
    except msgspec.ValidationError as error:
        raise InvalidInput.one("mail.variant", f"a variant's mail does not fit: {error}") from error


def _duration(text: str | None) -> int | None:
    try:
        return None if text is None else duration_micros(text)
    except InvalidInput as error:
        raise ValueError(str(error)) from error
