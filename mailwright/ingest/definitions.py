"""What a project declares about incoming data: its catalogs. The tracking plan has a module of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from mailwright.core.errors import Issue
from mailwright.ingest.plan import EventPlan, TrackingPlan, Violation, undeclared
from mailwright.ingest.typed_values import ValueType, is_a, wrong_type

__all__ = [
    "CatalogDefinition",
    "EventPlan",
    "FactType",
    "TrackingPlan",
    "ValueType",
    "Violation",
    "is_a",
    "wrong_type",
]

FactType = Literal["text", "number", "boolean", "instant", "list"]
_Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class CatalogDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A catalog of ``catalog.yaml``, under its name.

    Attributes:
        title: What pages call it.
        facts: Name of a fact -> type. An instant is ISO 8601 text.
        required: Facts that every version of an item must have, such as its price.
    """

    title: _Title
    facts: Mapping[str, FactType]
    required: tuple[str, ...] = ()
    description: str = ""

    def check(self, path: str) -> list[Issue]:
        """Faults that types cannot tell; `path` is where the catalog is declared."""
        return undeclared(f"{path}.required", self.required, self.facts)
