"""A project's files, checked and typed. Everything wrong in them is told at once, with file, line and a caret."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TypeVar
from zoneinfo import ZoneInfo

from mailwright.core.errors import InvalidInput, Issue
from mailwright.core.events import ARCHIVED
from mailwright.decisions.content_rules import ContentRuleDefinition, condition_name
from mailwright.ingest.context.channels import ChannelDefinition
from mailwright.ingest.definitions import CatalogDefinition, TrackingPlan
from mailwright.ingest.forms.definitions import FormDefinition
from mailwright.ingest.hooks import IngestRules, Normaliser, Resolve
from mailwright.ingest.identifiers import Seal
from mailwright.ingest.imports import ImportDefinition
from mailwright.ingest.limits import LIMITS, Limits
from mailwright.ingest.lookups import LookupDefinition
from mailwright.ingest.normalise.normaliser import Normaliser as SchemaNormaliser
from mailwright.ingest.normalise.rates import RATES_FILE, Rates, read_rates
from mailwright.ingest.schema import ProfileSchema
from mailwright.ingest.webhooks.definitions import WebhookDefinition
from mailwright.journeys.definitions import (
    ARCHIVED_CONDITION,
    CampaignDefinition,
    JourneyDefinition,
    audience_condition,
    exit_condition,
)
from mailwright.models.definitions import ModelDefinition
from mailwright.profiles.definitions import AttributeDefinition
from mailwright.profiles.identity_rules import DEFAULTS, IdentityRules, identity_faults
from mailwright.rendering.template import Template, parse_template
from mailwright.reports.data_map import DataMapDefinition
from mailwright.reports.quality.definitions import QualityDefinition
from mailwright.rules.check import Expects, Names, check, doubts
from mailwright.rules.fold import Rules
from mailwright.rules.parse import parse
from mailwright.rules.show import show
from mailwright.rules.syntax import Expression, InList
from mailwright.rules.typed import typed, typed_value
from mailwright.runtime.project.documents import Document, convert, parse_toml, parse_yaml
from mailwright.runtime.project.files import SETTINGS_FILE, named_files
from mailwright.runtime.project.names import declared_types, planned_names
from mailwright.runtime.project.outside import lookup_of, webhook_of
from mailwright.runtime.project.references import check_references
from mailwright.runtime.project.webhook_plan import unplanned
from mailwright.segments.definitions import SegmentDefinition
from mailwright.segments.sql import LIST_PREFIX, SqlSegmentDefinition, check_sql

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Project:
    """All definitions of one version, by name.

    Attributes:
        rules: Every rule, parsed, as the fold keeps it live.
        warnings: What looks like a slip in a rule and may be meant.
    """

    name: str = ""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    currency: str = "USD"
    attributes: Mapping[str, AttributeDefinition] = field(default_factory=dict)
    segments: Mapping[str, SegmentDefinition] = field(default_factory=dict)
    sql_segments: Mapping[str, SqlSegmentDefinition] = field(default_factory=dict)
    catalogs: Mapping[str, CatalogDefinition] = field(default_factory=dict)
    tracking_plan: TrackingPlan = field(default_factory=TrackingPlan)
    channels: Mapping[str, ChannelDefinition] = field(default_factory=dict)
    profile: ProfileSchema = field(default_factory=ProfileSchema)
    rates: Rates = field(default_factory=Rates)
    identity: IdentityRules = DEFAULTS
    webhooks: Mapping[str, WebhookDefinition] = field(default_factory=dict)
    lookups: Mapping[str, LookupDefinition] = field(default_factory=dict)
    content_rules: Mapping[str, ContentRuleDefinition] = field(default_factory=dict)
    campaigns: Mapping[str, CampaignDefinition] = field(default_factory=dict)
    journeys: Mapping[str, JourneyDefinition] = field(default_factory=dict)
    models: Mapping[str, ModelDefinition] = field(default_factory=dict)
    forms: Mapping[str, FormDefinition] = field(default_factory=dict)
    templates: Mapping[str, Template] = field(default_factory=dict)
    imports: Mapping[str, ImportDefinition] = field(default_factory=dict)
    quality: QualityDefinition = field(default_factory=QualityDefinition)
    data_map: DataMapDefinition = field(default_factory=DataMapDefinition)
    expressions: Mapping[str, Expression] = field(default_factory=dict)
    conditions: Mapping[str, Expression] = field(default_factory=dict)
    memberships: Mapping[str, Expression] = field(default_factory=dict)
    warnings: tuple[Issue, ...] = ()

    @cached_property
    def normaliser(self) -> Normaliser | None:
        """What brings names and units of incoming fields to the project's own; None if nothing is declared."""
        return None if self.profile == ProfileSchema() else SchemaNormaliser(self.profile, self.zone, self.rates)

    def ingest_rules(self, sealer: Seal, resolve: Resolve | None = None, limits: Limits = LIMITS) -> IngestRules:
        """What the project says about incoming events; `resolve` tells more of their contexts."""
        return IngestRules(
            sealer=sealer,
            plan=self.tracking_plan,
            normaliser=self.normaliser,
            naming=None if self.identity.plain else self.identity,
            resolve=resolve,
            limits=limits,
        )

    @cached_property
    def rules(self) -> Rules:
        """Every rule, as the fold keeps it live."""
        return Rules(attributes=self.expressions, segments=self.memberships, conditions=self.conditions, zone=self.zone)


def load_project(files: Mapping[str, str]) -> Project:
    """The typed project of a set of files; of none, an empty project.

    Raises:
        InvalidInput: With every fault found.
    """
    loader = _Loader(files)
    project = loader.load()
    if not loader.issues:
        loader.issues += check_references(project, loader.documents)
    if loader.issues:
        raise InvalidInput("definition.invalid", loader.issues)
    return replace(project, warnings=(*project.warnings, *unplanned(project, loader.documents)))


class _Loader:
    """Collects values and issues file by file, so that one run tells all that is wrong."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self.issues: list[Issue] = []
        self.documents: dict[str, Document] = {}
        self.warnings: list[Issue] = []
        self._origins: dict[str, tuple[str, str]] = {}

    def load(self) -> Project:
        profile = self._profile()
        settings = parse_toml(SETTINGS_FILE, self._files[SETTINGS_FILE]).data if SETTINGS_FILE in self._files else {}
        shop = settings.get("project", {})
        project = Project(
            name=shop.get("name", ""),
            zone=ZoneInfo(shop.get("time_zone", "UTC")),
            currency=shop.get("currency", "USD"),
            attributes=self._attributes(),
            segments=self._entries("segments.yaml", SegmentDefinition),
            sql_segments=self._sql_segments(),
            catalogs=self._entries("catalog.yaml", CatalogDefinition),
            tracking_plan=self._plan(),
            channels=self._entries("channels.yaml", ChannelDefinition),
            profile=profile,
            rates=self._rates(shop.get("currency", "USD"), profile),
            identity=self._identity(),
            webhooks=self._made("webhooks", webhook_of),
            lookups=self._made("lookups", lookup_of),
            content_rules=self._folder("content_rules", ContentRuleDefinition),
            campaigns=self._folder("campaigns", CampaignDefinition),
            journeys=self._folder("journeys", JourneyDefinition),
            models=self._folder("models", ModelDefinition),
            forms=self._folder("forms", FormDefinition),
            templates=self._templates(),
            imports=self._imports(shop.get("time_zone", "UTC")),
            quality=self._quality(),
            data_map=self._whole("data-map.yaml", DataMapDefinition) or DataMapDefinition(),
        )
        return self._with_rules(project)

    def _try(self, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except InvalidInput as error:
            self.issues += error.issues
            return None

    def _document(self, path: str) -> Document | None:
        document = self._try(lambda: parse_yaml(path, self._files[path]))
        if document is None:
            return None
        if not isinstance(document.data, dict):
            self.issues.append(document.issue((), "this file holds a mapping: `name: ...` lines"))
            return None
        self.documents[path] = document
        return document

    def _entries(self, path: str, kind: type[T]) -> dict[str, T]:
        if path not in self._files or (document := self._document(path)) is None:
            return {}
        found = {str(name): self._try(partial(convert, document, (name,), kind)) for name in document.data}
        return {name: value for name, value in found.items() if value is not None}

    def _attributes(self) -> dict[str, AttributeDefinition]:
        """Declared ones taken apart into plain ones; `_origins` keeps where each one is declared."""
        found: dict[str, AttributeDefinition] = {}
        path = "attributes.yaml"
        for name, definition in self._entries(path, AttributeDefinition).items():
            key = next(iter(definition.declared()), "value")
            try:
                parts = definition.plain(name)
            except InvalidInput as error:
                self.issues += [
                    self.documents[path].issue((name, key, *filter(None, (issue.path,))), issue.message, issue.hint)
                    for issue in error.issues
                ]
                continue
            for part in parts:
                if part != name and part in self.documents[path].data:
                    message = f"{name!r} gives an attribute {part!r} too"
                    self.issues.append(
                        self.documents[path].key_issue((part,), message, "give one of them another name")
                    )
                self._origins[part] = (name, key)
            found |= parts
        return found

    def _whole(self, path: str, kind: type[T]) -> T | None:
        """A file that is one definition; None if it is not there or at fault."""
        if path not in self._files or (document := self._document(path)) is None:
            return None
        return self._try(lambda: convert(document, (), kind))

    def _plan(self) -> TrackingPlan:
        return self._whole("tracking-plan.yaml", TrackingPlan) or TrackingPlan()

    def _quality(self) -> QualityDefinition:
        path = "quality.yaml"
        found = self._whole(path, QualityDefinition) or QualityDefinition()
        self.issues += [self.documents[path].placed(at, issue) for at, issue in found.faults()]
        return found

    def _profile(self) -> ProfileSchema:
        path = "profile.yaml"
        found = self._whole(path, ProfileSchema) or ProfileSchema()
        self.issues += [self.documents[path].issue(fault.at, fault.message, fault.hint) for fault in found.faults()]
        return found

    def _rates(self, currency: str, profile: ProfileSchema) -> Rates:
        """Rates of exchange; that there are none where money may come in several currencies looks like a slip."""
        for name, one in profile.money().items() if RATES_FILE not in self._files else ():
            if one.currency and one.currency_from:
                place = ("properties", name, "currency")
                message = f"there is no {RATES_FILE}: what comes in another currency is left out of {name!r}"
                self.warnings.append(self.documents["profile.yaml"].issue(place, message, "declare rates of exchange"))
        days, issues = read_rates(self._files.get(RATES_FILE), currency)
        self.issues += issues
        return Rates(currency=currency, days=days, max_age_days=profile.rates.max_age_days)

    def _identity(self) -> IdentityRules:
        path = "identity.yaml"
        if path not in self._files or (document := self._document(path)) is None:
            return DEFAULTS
        rules = self._try(lambda: convert(document, (), IdentityRules))
        if rules is None:
            return DEFAULTS
        for issue in identity_faults(rules):
            at = tuple(int(part) if part.isdecimal() else part for part in issue.path.split("/") if part)
            self.issues.append(document.issue(at, issue.message, issue.hint))
        return rules

    def _folder(self, folder: str, kind: type[T]) -> dict[str, T]:
        return self._made(folder, lambda _, document: convert(document, (), kind))

    def _made(self, folder: str, make: Callable[[str, Document], T]) -> dict[str, T]:
        """What a function makes of each file's name and document; it tells every fault itself."""
        found: dict[str, T] = {}
        for path, name in named_files(self._files, folder):
            document = self._document(path)
            value = self._try(partial(make, name, document)) if document else None
            if value is not None:
                found[name] = value
        return found

    def _sql_segments(self) -> dict[str, SqlSegmentDefinition]:
        """Each is also a segment of its name, for whoever is on the list that its query fills."""
        found = self._folder("sql_segments", SqlSegmentDefinition)
        taken = self._named("segments.yaml")
        for name, definition in found.items():
            document = self.documents[f"sql_segments/{name}.yaml"]
            if name in taken:
                self.issues.append(
                    document.issue((), f"segments.yaml has a segment {name!r} too", "rename one of them")
                )
            try:
                check_sql(definition.sql)
            except InvalidInput as error:
                self.issues += [document.issue(("sql",), issue.message, issue.hint) for issue in error.issues]
        return found

    def _imports(self, zone: str) -> dict[str, ImportDefinition]:
        found = self._folder("imports", ImportDefinition)
        for name, definition in found.items():
            document = self.documents[f"imports/{name}.yaml"]
            self.issues += [document.issue(at, issue.message, issue.hint) for at, issue in definition.check(zone)]
        return found

    def _templates(self) -> dict[str, Template]:
        found = {
            name: self._try(partial(parse_template, name, self._files[path]))
            for path, name in named_files(self._files, "templates")
        }
        return {name: template for name, template in found.items() if template is not None}

    # --- rules ---

    def _with_rules(self, project: Project) -> Project:
        types = declared_types(project)
        written = _parsed({name: one.value for name, one in project.attributes.items()})
        names = Names(
            attributes=self._named("attributes.yaml") | set(project.attributes),
            segments=self._named("segments.yaml") | set(project.sql_segments),
            expressions={name: typed_value(node, types) for name, node in written.items()},
            **planned_names(project, types),
        )
        attributes = {
            name: self._rule("attributes.yaml", self._origins[name], definition.value, names, "value")
            for name, definition in project.attributes.items()
        }
        segments = {
            name: self._rule("segments.yaml", (name, "rule"), definition.rule, names, "condition")
            for name, definition in project.segments.items()
        }
        by_sql = {name: InList(name=LIST_PREFIX + name) for name in project.sql_segments}
        shown = {
            name: SegmentDefinition(title=one.title, description=one.description, rule=show(by_sql[name]))
            for name, one in project.sql_segments.items()
        }
        conditions = {
            name: self._rule(path, at, text, names, "condition") for name, path, at, text in _conditions(project)
        }
        if project.campaigns and project.quality.audit.archive_micros:
            conditions[ARCHIVED_CONDITION] = InList(name=ARCHIVED)
        return replace(
            project,
            warnings=tuple(self.warnings),
            expressions=_whole(attributes),
            segments={**project.segments, **shown},
            memberships=_whole(segments) | by_sql,
            conditions=_whole(conditions),
        )

    def _names_are_known(self) -> bool:
        """Not while a file of names cannot be read: everything that uses them would look wrong."""
        return all(path in self.documents for path in ("attributes.yaml", "segments.yaml") if path in self._files)

    def _named(self, path: str) -> set[str]:
        """Names that a file defines, also those with a fault: what uses them is not at fault."""
        return set(self.documents[path].data) if path in self.documents else set()

    def _rule(
        self, path: str, at: tuple[str | int, ...], text: str, names: Names, expects: Expects
    ) -> Expression | None:
        document = self.documents[path]
        try:
            node = parse(text)
            faults = check(node, names, expects=expects, path="", source=text) if self._names_are_known() else []
            odd = doubts(node, names, expects=expects, source=text)
            self.warnings += [document.placed(at, issue) for issue in odd]
            node = (typed_value if expects == "value" else typed)(node, names.types)
        except InvalidInput as error:
            faults, node = list(error.issues), None
        self.issues += [document.placed(at, issue) for issue in faults]
        return None if faults else node


def _whole(rules: Mapping[str, Expression | None]) -> dict[str, Expression]:
    return {name: node for name, node in rules.items() if node is not None}


def _parsed(texts: Mapping[str, str]) -> dict[str, Expression]:
    """Those of the rules that can be read."""
    found: dict[str, Expression] = {}
    for name, text in texts.items():
        with suppress(InvalidInput):
            found[name] = parse(text)
    return found


def _conditions(project: Project) -> Iterable[tuple[str, str, tuple[str | int, ...], str]]:
    """Every named condition: its name, file, place in the file and text."""
    for name, rule in project.content_rules.items():
        for place, row in enumerate(rule.rows):
            yield condition_name(name, row.name), f"content_rules/{name}.yaml", ("rows", place, "when"), row.when
    for name, campaign in project.campaigns.items():
        yield audience_condition(name), f"campaigns/{name}.yaml", ("audience",), campaign.audience
    for name, journey in project.journeys.items():
        if journey.exit_when is not None:
            yield exit_condition(name), f"journeys/{name}.yaml", ("exit_when",), journey.exit_when
