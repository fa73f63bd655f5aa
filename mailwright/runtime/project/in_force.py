"""Which version of the definitions is in force: the newest, or the one before while the newest is on its way."""

from __future__ import annotations

from mailwright.core.ports import DefinitionRecords, DefinitionVersion, MetaRecords

IN_FORCE = "definitions.in_force"
"""Key of the version that the engine follows: behind the newest one while the past of that is being folded."""


def in_force(definitions: DefinitionRecords, meta: MetaRecords) -> DefinitionVersion | None:
    """The version that the engine follows; before it has said so, the newest. None before the first apply."""
    newest, told = definitions.current(), meta.get(IN_FORCE)
    if newest is None or told is None or int(told) >= newest.version:
        return newest
    return next((each for each in definitions.versions() if each.version == int(told)), newest)
