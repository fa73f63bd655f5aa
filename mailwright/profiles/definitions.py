"""What a project declares about profiles."""

from __future__ import annotations

from typing import Annotated

import msgspec


class AttributeDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A computed attribute of ``attributes.yaml``, under its name.

    Attributes:
        title: What pages call it.
        value: Rule text that gives the value.
        description: What it is for, in a sentence.
    """

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    value: Annotated[str, msgspec.Meta(min_length=1)]
    description: str = ""
