"""What a project says about an experiment (the ``experiment:`` block of a campaign or of a journey's mail)."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import msgspec


class VariantDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One arm.

    Attributes:
        share: Probability of this arm, more than 0 and at most 1.
        mail: What differs from the mail of the campaign; see `mailwright.decisions.mail.merged`.
    """

    share: Annotated[float, msgspec.Meta(gt=0, le=1)]
    mail: dict[str, Any] = {}


class ExperimentDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A comparison of variants of one mail.

    Attributes:
        name: Unique in the project: assignment hashes it, so a new name draws anew.
        variants: Name -> arm; at least two, shares sum to 1.
        control: The arm that the others are compared with; empty means the first one written.
        metric: What counts as success of a sent mail: ``click`` is at least one click that no machine made.
    """

    name: Annotated[str, msgspec.Meta(min_length=1)]
    variants: Annotated[dict[str, VariantDefinition], msgspec.Meta(min_length=2)]
    control: str = ""
    metric: Literal["click"] = "click"

    def __post_init__(self) -> None:
        total = math.fsum(variant.share for variant in self.variants.values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of experiment {self.name!r} sum to {total:g}, not to 1")
        if self.control and self.control not in self.variants:
            raise ValueError(f"control {self.control!r} is none of the variants {', '.join(sorted(self.variants))}")

    def arms(self) -> list[str]:
        """Names of the variants, the control first, the others as written."""
        names = list(self.variants)
        control = self.control or names[0]
        return [control, *(name for name in names if name != control)]
