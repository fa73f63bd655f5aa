"""The definitions in force as the pages and the door see them, read anew when another version is applied."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from mailwright.core.instants import SECOND, Instant
from mailwright.core.ports import Clock, DefinitionRecords
from mailwright.experiments.definitions import ExperimentDefinition
from mailwright.ingest.definitions import CatalogDefinition, TrackingPlan
from mailwright.ingest.forms.definitions import FormDefinition
from mailwright.ingest.hooks import IngestRules, Normaliser, Resolve
from mailwright.ingest.identifiers import Seal
from mailwright.ingest.imports import ImportDefinition
from mailwright.ingest.limits import LIMITS, Limits
from mailwright.ingest.lookups import LookupDefinition
from mailwright.ingest.schema import ProfileSchema
from mailwright.ingest.webhooks.definitions import WebhookDefinition
from mailwright.reports.quality.definitions import QualityDefinition
from mailwright.rules.fold import Rules
from mailwright.rules.kinds import static_kind
from mailwright.rules.syntax import Expression
from mailwright.runtime.project.asked import asked_rule
from mailwright.runtime.project.load import Project, load_project
from mailwright.web.context import Definition

LOOK_EVERY_MICROS = SECOND
"""The door asks for the tracking plan with every request; reading all files each time would cost more than the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    version: int = -1
    files: Mapping[str, str] = field(default_factory=dict)
    project: Project = field(default_factory=Project)
    good_until: Instant = field(default=Instant(0))


class CurrentProject:
    """`mailwright.web.context.ProjectView` over Records."""

    def __init__(self, definitions: DefinitionRecords, clock: Clock) -> None:
        """Look for a new version at most every `LOOK_EVERY_MICROS` of `clock`, the machine's."""
        self._definitions = definitions
        self._clock = clock
        self._known = _Known()
        self._looking = threading.Lock()

    def _current(self) -> _Known:
        now, known = self._clock.now(), self._known
        if now < known.good_until:
            return known
        with self._looking:  # one looks, and the others wait for what it finds rather than read all files, too
            return self._known if now < self._known.good_until else self._looked(now, self._known)

    def _looked(self, now: Instant, known: _Known) -> _Known:
        until = Instant(now + LOOK_EVERY_MICROS)
        found = self._definitions.current()
        if found is None or found.version == known.version:
            known = replace(known, good_until=until)
        else:
            project = load_project(found.files)
            if project.normaliser is not None:
                project.normaliser.prepare()
            known = _Known(version=found.version, files=found.files, project=project, good_until=until)
        self._known = known  # one assignment: other threads see the old or the new, never a mixture
        return known

    def _now(self) -> Project:
        return self._current().project

    def _of_files(self, folder: str, found: Mapping[str, str]) -> Mapping[str, Definition]:
        files = self._current().files
        return {
            name: Definition(name=name, title=title, text=files.get(f"{folder}/{name}.yaml", ""))
            for name, title in found.items()
        }

    @property
    def name(self) -> str:
        """The project's name."""
        return self._now().name

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        return self._now().zone

    @property
    def tracking_plan(self) -> TrackingPlan:
        """What events must look like."""
        return self._now().tracking_plan

    @property
    def profile(self) -> ProfileSchema:
        """What is declared of traits, properties and accounts."""
        return self._now().profile

    @property
    def quality(self) -> QualityDefinition:
        """What is watched, compared and cleaned up."""
        return self._now().quality

    @property
    def normaliser(self) -> Normaliser | None:
        """What brings names and units of incoming fields to the project's own."""
        return self._now().normaliser

    @property
    def webhooks(self) -> Mapping[str, WebhookDefinition]:
        """Webhooks, by the name in their address."""
        return self._now().webhooks

    @property
    def lookups(self) -> Mapping[str, LookupDefinition]:
        """Services outside that are asked."""
        return self._now().lookups

    @property
    def imports(self) -> Mapping[str, ImportDefinition]:
        """Declared imports."""
        return self._now().imports

    @property
    def whole(self) -> Project:
        """All definitions in force, as they were read."""
        return self._now()

    def ingest_rules(self, sealer: Seal, resolve: Resolve | None = None, limits: Limits = LIMITS) -> IngestRules:
        """What the project says about incoming events."""
        return self._now().ingest_rules(sealer, resolve, limits)

    @property
    def catalogs(self) -> Mapping[str, CatalogDefinition]:
        """Declared catalogs."""
        return self._now().catalogs

    @property
    def segments(self) -> Mapping[str, Definition]:
        """Segments, in the order of their file."""
        return {
            name: Definition(name=name, title=one.title, description=one.description, text=one.rule)
            for name, one in self._now().segments.items()
        }

    @property
    def attributes(self) -> Mapping[str, Definition]:
        """Computed attributes, in the order of their file."""
        project = self._now()
        return {
            name: Definition(
                name=name, title=one.title, description=one.description, text=one.value, kind=_kind(project, name)
            )
            for name, one in project.attributes.items()
        }

    @property
    def campaigns(self) -> Mapping[str, Definition]:
        """Campaigns."""
        return self._of_files("campaigns", {name: one.title for name, one in self._now().campaigns.items()})

    @property
    def journeys(self) -> Mapping[str, Definition]:
        """Journeys."""
        return self._of_files("journeys", {name: one.title for name, one in self._now().journeys.items()})

    @property
    def models(self) -> Mapping[str, Definition]:
        """Models."""
        return self._of_files("models", {name: one.title for name, one in self._now().models.items()})

    @property
    def forms(self) -> Mapping[str, FormDefinition]:
        """Forms, surveys and preference centres."""
        return self._now().forms

    @property
    def rules(self) -> Rules:
        """Every rule in force, as the fold keeps it live."""
        return self._now().rules

    def asked_rule(self, rule: str | Mapping[str, Any], name: str = "") -> Expression:
        """A rule that somebody tries out, read and checked."""
        return asked_rule(self._now(), rule, name)

    @property
    def experiments(self) -> Mapping[str, ExperimentDefinition]:
        """Experiments of campaigns and journeys, by their own names."""
        project = self._now()
        found = [one.experiment for one in project.campaigns.values()]
        found += [step.experiment for one in project.journeys.values() for step in one.steps]
        return {experiment.name: experiment for experiment in found if experiment is not None}


def _kind(project: Project, name: str) -> str:
    return static_kind(project.expressions[name], project.expressions) if name in project.expressions else "any"
