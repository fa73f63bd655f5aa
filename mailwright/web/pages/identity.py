"""Who a person is, on their page: what joined their identifiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailwright.core.facts import PersonFacts
from mailwright.core.person_graph import PersonGraph
from mailwright.reports.identity import branches, bringers
from mailwright.runtime.identity_changes import REASON_CHARS
from mailwright.web.context import WebContext
from mailwright.web.opening import opened

PERSONAL_KINDS = ("email", "phone")


def clear_addresses(context: WebContext, facts: PersonFacts) -> dict[str, str]:
    """Keyed hash -> the address or number itself, of those that a kept write of a trait told of this person."""
    found: dict[str, str] = {}
    for known in (one for writes in ([*facts.traits.values()], *facts.history.values()) for one in writes):
        if context.sealer.is_sealed(known.value) and known.value["hash"] not in found:
            found[known.value["hash"]] = opened(context, known.value)[0]
    return found


def graph_values(context: WebContext, graph: PersonGraph, clear: Mapping[str, str]) -> dict[str, Any]:
    """What `person_graph.html` shows; `clear` as `clear_addresses` says."""

    def shown(key: str) -> tuple[str, str]:
        kind, value = shown_key(key)
        return kind, clear.get(key.partition(":")[2], value) if kind in PERSONAL_KINDS else value

    def said(reason: str) -> str:
        return readable_reason(reason, shown)

    events = bringers(context.history, (each.offset for each in graph.identifiers))
    return {
        "graph": graph,
        "branches": [
            (each, *shown(each.identifier.key), events.get(each.identifier.offset)) for each in branches(graph)
        ],
        "merges": [(each, said(each.reason)) for each in reversed(graph.merges)],
        "refused": [(each, said(each.reason)) for each in reversed(graph.refused)],
        "shown_key": lambda key: " ".join(shown(key)),
        "reason_chars": REASON_CHARS,
    }


def shown_key(key: str) -> tuple[str, str]:
    """Kind and value for reading: of a keyed hash the beginning."""
    kind, _, value = key.partition(":")
    return (kind, f"hash {value[:8]}…") if kind in PERSONAL_KINDS else (kind, value)


def readable_reason(reason: str, shown: Callable[[str], tuple[str, str]] = shown_key) -> str:
    """A reason without the length of its hashes."""
    words = reason.split()
    return " ".join(" ".join(shown(each)) if each.partition(":")[0] in PERSONAL_KINDS else each for each in words)
