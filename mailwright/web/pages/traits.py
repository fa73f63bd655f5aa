"""What pages and the API show of traits: value, type, source, since when, and what was told before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailwright.core.errors import InvalidInput, NotFound, nearest
from mailwright.core.events import Person
from mailwright.core.facts import Known
from mailwright.core.instants import Instant
from mailwright.ingest.schema import TraitDefinition
from mailwright.ingest.typed_values import is_a
from mailwright.privacy.sealing import UNREADABLE
from mailwright.web.context import WebContext
from mailwright.web.opening import opened

_KINDS = {str: "text", bool: "boolean", int: "number", float: "number", list: "list", dict: "object"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One write of a trait; `text` is None for a removal."""

    text: str | None
    at: Instant | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitRow:
    """One trait for reading.

    Attributes:
        sealed: It lies encrypted everywhere but on this page.
        kind: Its declared type if the value is of it, else that of the value.
        since: Stamp of the first of the newest writes that all told this value.
        told_by: When each source told the trait last, newest first.
        before: The kept writes, newest first, if there is more than one.
    """

    name: str
    title: str
    text: str | None
    sealed: bool
    kind: str
    policy: str
    source: str
    since: Instant | None
    told_by: Sequence[tuple[str, Instant | None]]
    before: Sequence[Told]


def trait_rows(
    context: WebContext,
    traits: Mapping[str, Known],
    history: Mapping[str, Sequence[Known]],
    declared: Mapping[str, TraitDefinition],
) -> list[TraitRow]:
    """Traits, then those that were removed and are still remembered."""
    removed = [name for name in history if name not in traits]
    return [
        _row(context, name, traits.get(name), history.get(name, ()), declared.get(name)) for name in [*traits, *removed]
    ]


def _row(
    context: WebContext, name: str, now: Known | None, history: Sequence[Known], declared: TraitDefinition | None
) -> TraitRow:
    current = now or history[0]
    text, sealed = opened(context, current.value)
    told_by: dict[str, Instant | None] = {}
    for one in history:
        told_by.setdefault(one.source, one.at)
    return TraitRow(
        name=name,
        title=(declared.title if declared else "") or name,
        text=text if now else None,
        sealed=sealed,
        kind=kind_shown(context.sealer.opened(current.value, UNREADABLE), sealed, declared),
        policy=declared.policy if declared else "none",
        source=current.source,
        since=_since(current, history),
        told_by=list(told_by.items()),
        before=[_told(context, one) for one in history] if len(history) > 1 else [],
    )


def kind_shown(value: Any, sealed: bool, declared: TraitDefinition | None) -> str:
    """The declared type, unless a value that could not be normalised was kept as it was sent.

    A sealed number came back as text: what is sealed alone is what it is declared to be, or text.
    """
    if declared and (is_a(declared.kind, value) or (sealed and isinstance(value, str))):
        return declared.kind
    return _KINDS.get(type(value), "missing")


def _told(context: WebContext, one: Known) -> Told:
    return Told(text=None if one.value is None else opened(context, one.value)[0], at=one.at, source=one.source)


def _since(current: Known, history: Sequence[Known]) -> Instant | None:
    since = current.at
    for one in history:
        if not _same(one.value, current.value):
            break
        since = one.at
    return since


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict) and "hash" in one:
        return bool(one["hash"] == other.get("hash"))
    return type(one) is type(other) and bool(one == other)


def having(context: WebContext, trait: str, text: str) -> list[Person]:
    """People whose indexed trait has the value that a text says, in whatever form.

    Raises:
        NotFound: ``trait.index``, if the trait has no index.
        InvalidInput: ``trait.value``, if the text is no such value.
    """
    declared = context.project.profile.traits.get(trait)
    normaliser = context.project.normaliser
    if declared is None or normaliser is None or not declared.index:
        hint = nearest(trait, context.project.profile.indexed()) or "declare it in profile.yaml with index: true"
        raise NotFound("trait.index", f"people cannot be looked up by {trait!r}", hint)
    told: list[str] = []
    asked: Any = [text] if declared.kind == "list" else text
    made = normaliser.traits("", {trait: asked}, lambda _, reason: told.append(reason)).get(trait)
    if told or made in (None, []):
        raise InvalidInput.one("trait.value", f"no value of {trait!r}: {told[0] if told else 'it is empty'}")
    value = context.seal.seal_fields("traits", {trait: made})[trait]
    if context.sealer.is_sealed(value):
        value = {"hash": value["hash"]}
    return context.engine.having(trait, value[0] if isinstance(value, list) else value)
