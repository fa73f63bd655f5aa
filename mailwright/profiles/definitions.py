"""What a project declares about profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from mailwright.rules.show import show
from mailwright.rules.sugar import Declared, Intent, Lifecycle, Rfm, lower


class AttributeDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A computed attribute of ``attributes.yaml``, under its name.

    Attributes:
        title: What pages call it.
        value: Rule text that gives the value. In its place one of the declarations below may stand.
        description: What it is for, in a sentence.
        rfm: Recency, frequency and monetary value with named cells.
        lifecycle: The stage of a customer.
        intent: A band of purchase intent.
    """

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    value: str = ""
    description: str = ""
    rfm: Rfm | None = None
    lifecycle: Lifecycle | None = None
    intent: Intent | None = None

    def __post_init__(self) -> None:
        """Refuse an attribute that means nothing, or two things."""
        if bool(self.value.strip()) + len(self.declared()) != 1:
            raise ValueError("one of value, rfm, lifecycle and intent says what it is")

    def declared(self) -> Mapping[str, Declared]:
        """What is declared in place of a value, by its key; at most one is allowed."""
        kinds = {"rfm": self.rfm, "lifecycle": self.lifecycle, "intent": self.intent}
        return {key: one for key, one in kinds.items() if one is not None}

    def plain(self, name: str) -> dict[str, AttributeDefinition]:
        """The attributes that this one, of that name, stands for, each with a value.

        Raises:
            InvalidInput: As `rules.sugar.lower`.
        """
        found = {name: self}
        for one in self.declared().values():
            for each, node in lower(name, one).items():
                part = each.removeprefix(name).removeprefix("_")
                title = f"{self.title}: {part}" if part else self.title
                found[each] = AttributeDefinition(title=title, value=show(node), description=self.description)
        return found
