"""What the rules of a project may name, and of which type each of it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mailwright.ingest.plan import ORIGINAL
from mailwright.rules.check import Names
from mailwright.rules.kinds import Declared
from mailwright.rules.sugar import OWN_EVENTS

if TYPE_CHECKING:
    from mailwright.runtime.project.load import Project


def names_of(project: Project) -> Names:
    """What a rule that is asked of a project may name."""
    return Names(
        attributes=project.expressions,
        segments=project.memberships,
        expressions=project.expressions,
        **planned_names(project, declared_types(project)),
    )


def declared_types(project: Project) -> Declared:
    """Declared types by tracking plan and profile schema, which do not contradict each other."""
    planned = project.tracking_plan.types()
    return replace(planned, traits={**planned.traits, **project.profile.types()})


def planned_names(project: Project, types: Declared) -> dict[str, Any]:
    """What `Names` takes from a tracking plan; one that lists no events, or no traits, says nothing about them."""
    plan = project.tracking_plan
    events = {name: event.names() or None for name, event in plan.declared.items()}
    originals = {name + end for name in project.profile.money() for end in (ORIGINAL, ORIGINAL + "_currency")}
    events = {name: known and known | originals for name, known in events.items()}
    own = dict.fromkeys(OWN_EVENTS)
    return {
        "events": own | events if events else None,
        "traits": {*plan.trait_names(), *types.traits, *project.profile.traits} or None,
        "types": types,
        "open_events": plan.unknown_events == "allow",
        "open_properties": {name for name in plan.declared if plan.open_event(name)},
        "open_traits": True,
        "closed_traits": project.profile.closed(),
    }
