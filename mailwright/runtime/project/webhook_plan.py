"""What webhooks make that the tracking plan does not take: every such delivery would be refused, or held back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mailwright.core.errors import Issue
from mailwright.ingest.expressions import looks_like_expression
from mailwright.ingest.webhooks.definitions import EventTemplate
from mailwright.runtime.project.documents import Document

if TYPE_CHECKING:
    from mailwright.runtime.project.load import Project

_TEXT = re.compile(r""""([^"]*)"|'([^']*)'""")


def unplanned(project: Project, documents: Mapping[str, Document]) -> Iterator[Issue]:
    """A warning for each event of a webhook whose template never has a property that the plan requires."""
    plan = project.tracking_plan
    for name, webhook in project.webhooks.items():
        document = documents[f"webhooks/{name}.yaml"]
        n_own = len(document.data.get("events") or ())  # they stand before those of the preset
        for place, template in enumerate(webhook.events):
            for event in _names(template, project):
                made, planned = _made(template, project, name), plan.declared[event]
                policy = planned.violation or plan.violation
                lacking = [field for field in planned.needed() if field not in made]
                if not lacking or policy not in ("block", "quarantine"):
                    continue
                which = f"{event!r} of the webhook {name} has no {' and no '.join(map(repr, lacking))}"
                at = ("events", place, "name") if place < n_own else ("preset",)
                if policy == "block":
                    message = f"{which}, so tracking-plan.yaml refuses every one, and none comes again"
                    hint = "require less, or say violation: quarantine, which keeps them to be mended"
                else:
                    message = f"{which}, so tracking-plan.yaml holds every one back until it is mended"
                    hint = "require less, or add the property to the webhook"
                yield document.issue(at, message, hint)


def _names(template: EventTemplate, project: Project) -> list[str]:
    """The planned events that a template may make; of a computed name, those that stand in its expression."""
    if template.type != "track":
        return []
    computed = looks_like_expression(template.name)
    found = [one or other for one, other in _TEXT.findall(template.name)] if computed else [template.name]
    return [name for name in dict.fromkeys(found) if name in project.tracking_plan.declared]


def _made(template: EventTemplate, project: Project, webhook: str) -> set[str]:
    """The properties that a template names, under the names that the profile schema gives them too."""
    made, profile = set(template.properties), project.profile
    made |= {name for name, one in profile.properties.items() if not made.isdisjoint(one.aliases)}
    ways = profile.sources.get(f"webhook:{webhook}")
    return made | {ours.partition(".")[0] for theirs, ours in (ways.names if ways else {}).items() if theirs in made}
