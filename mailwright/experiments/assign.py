"""Deterministic assignment of people to variants."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from mailwright.experiments.definitions import VariantDefinition

_RANGE = 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The arm a person got. `probability` is what it had of being this one: logged for later evaluation."""

    experiment: str
    variant: str
    probability: float


def assign(experiment_name: str, first_identifier: str, variants: Mapping[str, VariantDefinition]) -> Assignment:
    """The variant of one person: always the same for the same experiment, identifier, names and shares.

    The first 64 bits of SHA-256 over both names pick a point of [0, 1); the arms lie on that line in the order of their
    names, so the order in which they were written does not matter.

    Args:
        experiment_name: Hashed, so that two experiments draw independently.
        first_identifier: ``kind:value`` of the person's first identifier: it survives merges and rebuilds.
        variants: Name -> arm; shares sum to 1.
    """
    point = _point(experiment_name, first_identifier)
    names = sorted(variants)
    bounds = [math.fsum(variants[name].share for name in names[: place + 1]) for place in range(len(names))]
    # The last arm takes what rounding leaves over: a point of .9999999999999999 has an arm too.
    chosen = next((name for name, bound in zip(names, bounds, strict=True) if point < bound), names[-1])
    return Assignment(experiment=experiment_name, variant=chosen, probability=variants[chosen].share)


def _point(experiment_name: str, first_identifier: str) -> float:
    # The length of the first part keeps ("ab", "c") and ("a", "bc") apart.
    text = f"{len(experiment_name)}:{experiment_name}:{first_identifier}"
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") / _RANGE
