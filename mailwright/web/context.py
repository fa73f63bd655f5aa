"""What the web application is given by runtime: ports, keys and views of the definitions. It reads no settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from mailwright.core.instants import HOUR, MINUTE
from mailwright.core.ports import (
    Blobs,
    Clock,
    EngineReads,
    EventLog,
    Fetch,
    History,
    MailDomains,
    PostalPlaces,
    Records,
)
from mailwright.core.sources import CountKind
from mailwright.experiments.definitions import ExperimentDefinition
from mailwright.ingest.context.addresses import Network
from mailwright.ingest.definitions import CatalogDefinition
from mailwright.ingest.forms.definitions import FormDefinition
from mailwright.ingest.hooks import IngestRules, Normaliser, Resolve
from mailwright.ingest.identifiers import Seal
from mailwright.ingest.imports import ImportDefinition
from mailwright.ingest.limits import LIMITS, Limits, Refusal
from mailwright.ingest.lookups import LookupDefinition
from mailwright.ingest.schema import ProfileSchema
from mailwright.ingest.segment import Source
from mailwright.ingest.webhooks.definitions import WebhookDefinition
from mailwright.privacy.sealing import Sealer
from mailwright.privacy.tokens import Tokens
from mailwright.reports.quality.definitions import QualityDefinition
from mailwright.rules.syntax import Expression
from mailwright.runtime.collected import Collected
from mailwright.runtime.jobs.job import Job
from mailwright.runtime.quarantine import Quarantine
from mailwright.web.rule_previews import Folding


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One named definition as the pages show it.

    Attributes:
        text: Its rule, or the text of its file.
        kind: For an attribute the type of its values, where it is known (``duration`` values are in seconds).
    """

    name: str
    title: str
    description: str = ""
    text: str = ""
    kind: str = "any"


class ProjectView(Protocol):
    """The definitions now in force, by name. Asked anew for every page, since `apply` may change them."""

    @property
    def name(self) -> str:
        """The project's name."""
        ...

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone, in which pages show times and count days."""
        ...

    @property
    def segments(self) -> Mapping[str, Definition]:
        """Segments, in the order of their file."""
        ...

    @property
    def attributes(self) -> Mapping[str, Definition]:
        """Computed attributes, in the order of their file."""
        ...

    @property
    def campaigns(self) -> Mapping[str, Definition]:
        """Campaigns."""
        ...

    @property
    def journeys(self) -> Mapping[str, Definition]:
        """Journeys."""
        ...

    @property
    def experiments(self) -> Mapping[str, ExperimentDefinition]:
        """Experiments of campaigns and journeys, by their own names."""
        ...

    @property
    def catalogs(self) -> Mapping[str, CatalogDefinition]:
        """Catalogs by name, for checking items at the door."""
        ...

    @property
    def profile(self) -> ProfileSchema:
        """What is declared of traits, properties and accounts."""
        ...

    @property
    def quality(self) -> QualityDefinition:
        """What is watched, compared and cleaned up."""
        ...

    @property
    def normaliser(self) -> Normaliser | None:
        """What brings names and units of incoming fields to the project's own; None if nothing is declared."""
        ...

    @property
    def forms(self) -> Mapping[str, FormDefinition]:
        """Forms, surveys and preference centres."""
        ...

    @property
    def webhooks(self) -> Mapping[str, WebhookDefinition]:
        """Webhooks, by the name in their address."""
        ...

    @property
    def lookups(self) -> Mapping[str, LookupDefinition]:
        """Services outside that are asked."""
        ...

    @property
    def imports(self) -> Mapping[str, ImportDefinition]:
        """Declared imports."""
        ...

    @property
    def models(self) -> Mapping[str, Definition]:
        """Models."""
        ...

    def ingest_rules(self, sealer: Seal, resolve: Resolve | None = None, limits: Limits = LIMITS) -> IngestRules:
        """What the project says about incoming events."""
        ...

    def asked_rule(self, rule: str | Mapping[str, Any], name: str = "") -> Expression:
        """A rule, as text or tree, that somebody tries out (as that of segment `name`), read and checked.

        Raises:
            InvalidInput: With every fault and its place in the text.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """How the pages and the door behave.

    Attributes:
        base_url: How the world reaches this installation, without a slash at the end; links in mail begin with it.
        session_micros: A session ends this long after login, used or not.
        preview_micros: The address of a mail preview works this long.
        login_tries_per_minute: Opened login links per client address; of IPv6 per /64, likewise `pixels_per_minute`.
        page_rows: People, mails and members per page of a list.
        trusted_proxies: Whose X-Forwarded-For tells whose a request is.
        allow_reserved_domains: Forms take addresses at example.com and the like (demo and tests).
        shop_domains: Hosts of the shop's own pages, with all below them: clicks in mails are told to these alone.
        pixels_per_minute: Pixels of one client address that count.
        limits: What one request to the door may bring; bytes are counted after decompression.
    """

    base_url: str
    session_micros: int = 12 * HOUR
    preview_micros: int = 10 * MINUTE
    login_tries_per_minute: int = 20
    page_rows: int = 50
    trusted_proxies: tuple[Network, ...] = ()
    allow_reserved_domains: bool = False
    shop_domains: tuple[str, ...] = ()
    pixels_per_minute: int = 600
    limits: Limits = LIMITS

    @property
    def secure_cookies(self) -> bool:
        """Whether cookies may travel over https only."""
        return self.base_url.startswith("https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebContext:
    """Everything the application needs. `clock` is the project's and may be virtual; `lease_clock` is system time.

    `folding` answers for rules that are not kept live; None if nothing does here. `resolve` tells what is known of an
    incoming event's context besides; None if nothing is. `mail_domains` asks DNS about addresses in forms,
    `postal_places` a table about postal codes; None: nothing does.
    `collected` counts what sources bring; None if nothing does. `fetch` asks services outside; None:
    they are not asked. `jobs` are those of the definitions in force, by name.
    """

    log: EventLog
    records: Records
    engine: EngineReads
    history: History
    blobs: Blobs
    clock: Clock
    lease_clock: Clock
    sealer: Sealer
    tokens: Tokens
    sources: Mapping[str, Source]
    project: ProjectView
    settings: WebSettings
    folding: Folding | None = None
    resolve: Resolve | None = None
    mail_domains: MailDomains | None = None
    postal_places: PostalPlaces | None = None
    collected: Collected | None = None
    fetch: Fetch | None = None
    jobs: Callable[[], Mapping[str, Job]] = field(default=dict)

    @property
    def ingest_rules(self) -> IngestRules:
        """What the project in force says about incoming events."""
        return self.project.ingest_rules(self.sealer, self.resolve, self.settings.limits)

    @property
    def seal(self) -> Seal:
        """What hashes identifiers as the door does: by the forms that the project declares."""
        return self.project.ingest_rules(self.sealer).seal

    def count(self, source: str, kind: CountKind, accepted: int, refused: Sequence[Refusal] = ()) -> None:
        """Count what a source brought beside calls."""
        if self.collected is not None:
            self.collected.add_others(source, kind, accepted, refused)

    @property
    def quarantine(self) -> Quarantine:
        """What the tracking plan held back."""
        return Quarantine(self.records, self.sealer, self.clock, self.log, seal=self.seal)
