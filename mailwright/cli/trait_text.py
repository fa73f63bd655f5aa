"""Traits and their history in words, for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from mailwright.core.facts import Known
from mailwright.core.instants import format_iso
from mailwright.privacy import Sealer
from mailwright.privacy.sealing import UNREADABLE

Opened = Callable[[Any], Any]
"""A value with all that is sealed in it in clear text."""


def opener(sealer: Sealer) -> Opened:
    """Opens what is sealed: whoever may read the data folder may read the keys in it."""
    return lambda value: sealer.opened(value, UNREADABLE)


def trait_lines(traits: Mapping[str, Known], history: Mapping[str, Sequence[Known]], opened: Opened) -> Iterator[str]:
    """Each trait with its source and time, and under it the writes before, newest first.

    Args:
        traits: What counts now.
        history: Kept writes, newest first; a removal has the value None. Empty: none are shown.
        opened: Opens sealed values.
    """
    for name in [*traits, *(name for name in history if name not in traits)]:
        now = traits.get(name)
        yield f"{name} = {shown_value(opened(now.value))}  ({_by(now)})" if now else f"{name}  removed"
        for one in history.get(name, ())[1 if now and now == history.get(name, [None])[0] else 0 :]:
            yield f"  {'removed' if one.value is None else shown_value(opened(one.value))}  ({_by(one)})"


def _by(one: Known) -> str:
    return one.source if one.at is None else f"{one.source}, {format_iso(one.at)}"


def shown_value(value: Any) -> str:
    """Text as it is, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
