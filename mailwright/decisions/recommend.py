"""Filling the recommendations of a mail from a ladder of sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mailwright.core.facts import PersonFacts
from mailwright.decisions.mail import RecommendDefinition
from mailwright.decisions.variables import look_up

FALLBACK_SOURCE = "fallback"
"""The source that items of the mail's own fixed list are recorded under."""

SPARE = 10
"""How many items more than needed a source is asked for, so that items without catalog facts leave no gap."""

CatalogLookup = Callable[[Sequence[str]], Mapping[str, Mapping[str, Any]]]
"""Item ids -> facts in force of those that the catalog knows and that may be shown."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """An item that a model proposes; `reason` is a sentence for the reader, true by the way the score came about."""

    item_id: str
    score: float
    reason: str = ""


class Recommender(Protocol):
    """The models as a decision sees them."""

    def ready(self, source: str) -> str | None:
        """None if the source may serve now, else why not, in words (no such model, its gate refused it, too old)."""
        ...

    def items(self, source: str, facts: PersonFacts, n: int) -> Sequence[Ranked]:
        """At most `n` items for a person, best first; none if the model has nothing for them."""
        ...

    def version(self, source: str) -> str:
        """Name and version of the model behind a source, for the record (``for_you 3``)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommended:
    """An item of the mail: what was ranked, by which source and model version, with the catalog's facts."""

    item_id: str
    score: float | None
    reason: str
    source: str
    model: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A rung of the ladder: how many items it gave, and why no more; `why` is empty where it filled what was left."""

    source: str
    n: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendations:
    """All of them, with the ladder as it was climbed and the ids that were left out because the mail says so."""

    items: tuple[Recommended, ...]
    tried: tuple[Tried, ...]
    excluded: tuple[str, ...]


def recommend(
    definition: RecommendDefinition, facts: PersonFacts, recommender: Recommender, lookup: CatalogLookup | None
) -> Recommendations:
    """Up to n items, from the first source that is ready; what it cannot fill the next ones do, then the fixed list.

    An item is never shown twice, nor if it is excluded, nor (given a `lookup`) if the catalog does not know it.
    """
    excluded = _excluded(definition, facts)
    chosen: list[Recommended] = []
    tried: list[Tried] = []
    for source in (*definition.sources, FALLBACK_SOURCE):
        wanted = definition.n - len(chosen)
        if wanted == 0 or (source == FALLBACK_SOURCE and not definition.fallback):
            break
        barred = excluded | {item.item_id for item in chosen}
        rung, taken = _climb(source, definition, facts, recommender, lookup, wanted, barred)
        tried.append(rung)
        chosen += taken
    return Recommendations(items=tuple(chosen), tried=tuple(tried), excluded=tuple(sorted(excluded)))


def _climb(
    source: str,
    definition: RecommendDefinition,
    facts: PersonFacts,
    recommender: Recommender,
    lookup: CatalogLookup | None,
    wanted: int,
    barred: set[str],
) -> tuple[Tried, list[Recommended]]:
    if source == FALLBACK_SOURCE:
        ranked: Sequence[Ranked] = [Ranked(item_id, 0.0) for item_id in definition.fallback]
        model = ""
    else:
        why_not = recommender.ready(source)
        if why_not is not None:
            return Tried(source=source, n=0, why=why_not), []
        ranked = recommender.items(source, facts, wanted + len(barred) + SPARE)
        model = recommender.version(source)
    taken = _taken(source, model, ranked, lookup, wanted, barred)
    why = "" if len(taken) == wanted else f"has {len(taken)} of {wanted} wanted items for this person"
    return Tried(source=source, n=len(taken), why=why), taken


def _taken(
    source: str,
    model: str,
    ranked: Sequence[Ranked],
    lookup: CatalogLookup | None,
    wanted: int,
    barred: set[str],
) -> list[Recommended]:
    fresh = {item.item_id: item for item in reversed(ranked) if item.item_id not in barred}
    known = lookup(list(fresh)) if lookup else {item_id: {} for item_id in fresh}
    fixed = source == FALLBACK_SOURCE
    return [
        Recommended(
            item_id=item.item_id,
            score=None if fixed else item.score,
            reason=item.reason,
            source=source,
            model=model,
            facts=known[item.item_id],
        )
        for item in ranked
        if fresh.get(item.item_id) is item and item.item_id in known
    ][:wanted]


def _excluded(definition: RecommendDefinition, facts: PersonFacts) -> set[str]:
    excluded: set[str] = set()
    for source in definition.exclusions():
        known = look_up(source, facts)
        if known is not None and isinstance(known.value, (list, str)):
            excluded |= {known.value} if isinstance(known.value, str) else {str(one) for one in known.value}
    return excluded
