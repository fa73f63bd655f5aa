"""The definitions in force as the pages show them, read anew when another version is applied."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from mailwright.core.ports import DefinitionRecords
from mailwright.experiments.definitions import ExperimentDefinition
from mailwright.ingest.definitions import CatalogDefinition, TrackingPlan
from mailwright.runtime.project.load import Project, load_project
from mailwright.web.context import Definition


class CurrentProject:
    """`mailwright.web.context.ProjectView` over Records."""

    def __init__(self, definitions: DefinitionRecords) -> None:
        self._definitions = definitions
        self._version = -1
        self._files: Mapping[str, str] = {}
        self._project = Project()

    def _now(self) -> Project:
        current = self._definitions.current()
        if current is not None and current.version != self._version:
            self._project, self._files, self._version = load_project(current.files), current.files, current.version
        return self._project

    def _of_files(self, folder: str, found: Mapping[str, str]) -> Mapping[str, Definition]:
        return {
            name: Definition(name=name, title=title, text=self._files.get(f"{folder}/{name}.yaml", ""))
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
        return {
            name: Definition(name=name, title=one.title, description=one.description, text=one.value)
            for name, one in self._now().attributes.items()
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
    def experiments(self) -> Mapping[str, ExperimentDefinition]:
        """Experiments of campaigns and journeys, by their own names."""
        project = self._now()
        found = [one.experiment for one in project.campaigns.values()]
        found += [step.experiment for one in project.journeys.values() for step in one.steps]
        return {experiment.name: experiment for experiment in found if experiment is not None}
