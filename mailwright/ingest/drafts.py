"""What a row, a change or an export's line becomes on its way to the door: drafts, not yet checked or sealed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

from mailwright.ingest.mapping import CALL_KINDS, RowMapping

DraftKind = Literal["call", "item", "consent", "suppression"]


class Draft(NamedTuple):
    """One thing for the door: a Segment call, a catalog item, a consent or a suppression, as the HTTP API takes it.

    `key` is that of the row which is noted as known once this is taken; empty: nothing is noted. `ends`: it tells that
    the row is gone.
    """

    kind: DraftKind
    body: dict[str, Any]
    key: bytes = b""
    ends: bool = False


class PassedOver(tuple[Draft, ...]):
    """No draft, of a row that is no fault and yet nothing to take.

    Attributes:
        what: Such rows in words, if they may be told: never what stands in a cell. Empty: they are only counted.
    """

    what: str

    def __new__(cls, what: str = "") -> Self:
        """Of a row."""
        made = super().__new__(cls)
        made.what = what
        return made


Drafts = Callable[[int, Mapping[str, Any]], Sequence[Draft]]
"""(line, row) -> what it becomes, in order; raises InvalidInput with every fault of the row."""


def draft_kind(kind: str) -> DraftKind:
    """The kind of draft that rows of a kind (``as:`` in YAML) become."""
    if kind in CALL_KINDS:
        return "call"
    kinds: dict[str, DraftKind] = {"items": "item", "consents": "consent", "suppressions": "suppression"}
    return kinds[kind]


def drafts_of(mapping: RowMapping, prefix: str = "") -> Drafts:
    """Rows by a declared mapping; an id that it makes of a row's content gets `prefix`, which tells files apart."""
    kind = draft_kind(mapping.kind)
    own_ids = kind == "call" and not mapping.names_message

    def draft(line: int, row: Mapping[str, Any]) -> Sequence[Draft]:
        call = mapping.call(line, row)
        if own_ids:
            call["messageId"] = f"{prefix}-{call['messageId']}"
        return (Draft(kind, call),)

    return draft
