"""What a project says about its segments (``segments.yaml``)."""

from __future__ import annotations

from typing import Annotated

import msgspec


class SegmentDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A segment: its name is the key under which it stands.

    Attributes:
        title: What pages and reports call it.
        description: For whom it is and why, in a sentence.
        rule: Text of the rule language; whoever meets it is in the segment, from tick to tick.
    """

    title: Annotated[str, msgspec.Meta(min_length=1)]
    description: str = ""
    rule: Annotated[str, msgspec.Meta(min_length=1)]
