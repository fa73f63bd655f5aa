"""Settings: ``mailwright.toml`` of the project folder, then the environment (``MAILWRIGHT__DOOR__PORT=8080``).

The only module that reads settings. Everything else takes what it needs as an argument.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from mailwright.core.errors import InvalidInput, Issue, NotFound, nearest
from mailwright.core.instants import Instant, parse_iso
from mailwright.core.zones import zone_named
from mailwright.ingest.context.addresses import networks
from mailwright.runtime.project.documents import Document, convert, parse_toml

FILE = "mailwright.toml"
_PREFIX = "MAILWRIGHT__"
_ENVIRONMENT: Mapping[str, str] = os.environ

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class ProjectSettings(_Section, frozen=True):
    """What the installation is.

    Attributes:
        name: Of the shop, for pages and reports.
        time_zone: The shop's IANA zone: of schedules, pages and mails, and in rules of people whose own is unknown.
        currency: ISO 4217 code of the shop's prices; what the filter ``money`` shows in mails.
    """

    name: str
    time_zone: str = "UTC"
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")] = "USD"


class ClockSettings(_Section, frozen=True):
    """Which time it is; fixed when the data folder is made.

    Attributes:
        kind: ``system`` is the machine's clock; a ``virtual`` one stands still until its driver moves it.
        start: Instant (ISO 8601) at which a virtual clock begins; needed there, unused otherwise.
    """

    kind: Literal["system", "virtual"] = "system"
    start: str = ""


class DataSettings(_Section, frozen=True):
    """Where everything is kept.

    Attributes:
        folder: Relative to the project folder. Back it up whole, with its keys.
    """

    folder: str = "data"


class DoorSettings(_Section, frozen=True):
    """Where the door listens.

    Attributes:
        host: Address to listen on; ``127.0.0.1`` is this machine alone.
        port: TCP port; 0 takes a free one.
        base_url: How the world reaches the door (``https://mail.my-shop.example``): links in mail begin with it. Empty:
            host and port as above.
        trusted_proxies: Addresses and networks (``10.0.0.0/8``) of proxies before the door, whose X-Forwarded-For tells
            whose a request is. Of anybody else that header counts nothing.
        shop_domains: Hosts of the shop's own pages (``my-shop.example``, with all below it). A click in a mail that
            leads there tells the snippet on the page whose visit it is; addresses elsewhere are never touched.
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    base_url: str = ""
    trusted_proxies: list[str] = []
    shop_domains: list[str] = []


class ContextSettings(_Section, frozen=True):
    """What is made of an event's address, program and language.

    Attributes:
        place_file: A City file in MaxMind's format (GeoLite2, DB-IP), relative to the project folder; empty: no places.
            Replace the file by renaming another to its name: it is opened anew.
        population_file: A table of GeoNames, or CSV with city, country and population, by which a place is called urban
            or rural; empty: neither.
        urban_from: People from which on a place is urban.
        ip: What is kept of an IP address once its place was looked up: ``truncated`` (to /24, IPv6 to /48), ``whole``
            or ``dropped``. What is kept is sealed.
    """

    place_file: str = ""
    population_file: str = ""
    urban_from: Annotated[int, msgspec.Meta(ge=1)] = 50_000
    ip: Literal["truncated", "whole", "dropped"] = "truncated"


class SenderSettings(_Section, frozen=True):
    """Who writes, and how hard.

    Attributes:
        from_name: Shown as the sender of every mail.
        from_address: The sender's address; its domain is also that of every Message-ID.
        reply_to: Where replies go; empty: to `from_address`.
        postal_address: Shown in every mail that needs consent, which without one is not sent.
        connections: Mails that are handed over at the same time.
        lease_s: Seconds for which a claimed message is one sender's; must be longer than any hand-over.
        max_attempts: Hand-overs of a mail that is always deferred, before it has failed.
        allow_reserved_domains: Write to addresses at example.com and the like, where nobody lives (demo and tests).
    """

    from_name: str = ""
    from_address: str = ""
    reply_to: str = ""
    postal_address: str = ""
    connections: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8
    lease_s: Annotated[int, msgspec.Meta(ge=1)] = 900
    max_attempts: Annotated[int, msgspec.Meta(ge=1)] = 8
    allow_reserved_domains: bool = False


class ChannelSettings(_Section, frozen=True):
    """How mail leaves.

    Attributes:
        kind: ``mailbox`` writes .eml files into `folder`; ``smtp`` hands over to `host` and `port`.
        folder: Of the mailbox, relative to the data folder.
        host: SMTP server.
        port: Its TCP port: 25, 465 (``implicit``) or 587.
        tls: ``required`` and ``opportunistic`` use STARTTLS, ``implicit`` TLS from the first byte; ``off`` is for a
            server on this machine alone. Certificates are checked where TLS is not optional.
        user: Empty: no login.
        password: Best given as MAILWRIGHT__CHANNEL__PASSWORD.
    """

    kind: Literal["mailbox", "smtp"] = "mailbox"
    folder: str = "mailbox"
    host: str = "127.0.0.1"
    port: Port = 25
    tls: Literal["required", "implicit", "opportunistic", "off"] = "required"
    user: str = ""
    password: str = ""


class PrivacySettings(_Section, frozen=True):
    """What is sealed.

    Attributes:
        personal: Further names of traits and properties that are sealed at the door, beside the built-in ones. Applies
            to what comes in from then on.
    """

    personal: list[str] = []


class OutgoingSettings(_Section, frozen=True):
    """What may be asked of services outside: lookups, feeds, alerts. Only public addresses are, unless `allow` says so.

    Attributes:
        allow: Hosts (``intranet.example``), host:port or networks (``10.1.0.0/16``) of your own that may be asked
            though they are not public, on any port.
        ports: Ports that may be asked of everybody else.
        per_minute: Most questions to one service in any 60 seconds, unless its definition names another number.
        user_agent: What Mailwright calls itself.
        certificates: A PEM file of certificate authorities to trust in place of the usual ones, relative to the
            project folder; empty: the usual ones.
    """

    allow: list[str] = []
    ports: list[Port] = msgspec.field(default_factory=lambda: [80, 443])
    per_minute: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 60
    user_agent: str = "Mailwright"
    certificates: str = ""


class EngineSettings(_Section, frozen=True):
    """How often the engine closes what it keeps.

    Attributes:
        checkpoint_s: Seconds between checkpoints, at most.
        checkpoint_events: Events between checkpoints, at most.
        history_s: Seconds after which an open chunk of History is written.
    """

    checkpoint_s: Annotated[int, msgspec.Meta(ge=1)] = 300
    checkpoint_events: Annotated[int, msgspec.Meta(ge=1)] = 3_000_000
    history_s: Annotated[int, msgspec.Meta(ge=1)] = 60


class HistorySettings(_Section, frozen=True):
    """How long History keeps what.

    Attributes:
        keep_days: Events and transitions older than this are forgotten, a whole file at a time; 0: never. Rules then
            know nothing older, and a person who was merged long ago can no longer be parted exactly.
        keep_versions_days: Files that were rewritten stay so long, for those who read an older version.
    """

    keep_days: Annotated[int, msgspec.Meta(ge=0)] = 0
    keep_versions_days: Annotated[int, msgspec.Meta(ge=1)] = 7


class DnsSettings(_Section, frozen=True):
    """Whom forms ask whether a domain takes mail.

    Attributes:
        check_mail_domains: Whether they ask at all; a form may leave it off for itself.
        servers: Addresses of name servers; empty: those that the machine is configured with.
        port: Their port.
        timeout_s: Seconds after which a form goes on without an answer.
    """

    check_mail_domains: bool = True
    servers: list[str] = []
    port: Port = 53
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=10)] = 2.0


class FormsSettings(_Section, frozen=True):
    """What forms check answers by, beside DNS.

    Attributes:
        postal_codes: A table of postal codes and their places in GeoNames' format (``allCountries.txt`` of its postal
            codes, or your own), relative to the project folder; empty: their shape alone is checked. A new table is
            read when the door starts.
    """

    postal_codes: str = ""


class _Sections(_Section, frozen=True):
    project: ProjectSettings
    clock: ClockSettings = ClockSettings()
    data: DataSettings = DataSettings()
    door: DoorSettings = DoorSettings()
    context: ContextSettings = ContextSettings()
    sender: SenderSettings = SenderSettings()
    channel: ChannelSettings = ChannelSettings()
    privacy: PrivacySettings = PrivacySettings()
    engine: EngineSettings = EngineSettings()
    history: HistorySettings = HistorySettings()
    outgoing: OutgoingSettings = OutgoingSettings()
    dns: DnsSettings = DnsSettings()
    forms: FormsSettings = FormsSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one project. `folder` is the project folder, absolute."""

    folder: Path
    project: ProjectSettings
    clock: ClockSettings
    data: DataSettings
    door: DoorSettings
    context: ContextSettings
    sender: SenderSettings
    channel: ChannelSettings
    privacy: PrivacySettings
    engine: EngineSettings
    history: HistorySettings
    outgoing: OutgoingSettings
    dns: DnsSettings
    forms: FormsSettings

    @property
    def data_folder(self) -> Path:
        """The data folder, absolute."""
        return self.folder / self.data.folder

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        return ZoneInfo(self.project.time_zone)

    @property
    def clock_start(self) -> Instant:
        """Where a virtual clock begins."""
        return parse_iso(self.clock.start)

    @property
    def base_url(self) -> str:
        """How links in mail begin, without a slash at the end."""
        return (self.door.base_url or f"http://{self.door.host}:{self.door.port}").rstrip("/")


def load_settings(folder: Path, environment: Mapping[str, str] = _ENVIRONMENT) -> Settings:
    """Read the settings of a project folder.

    Raises:
        NotFound: If the folder has no ``mailwright.toml``.
        InvalidInput: With file, line and the nearest right key.
    """
    folder = folder.resolve()
    path = folder / FILE
    if not path.is_file():
        hint = "run `mailwright init DIR` to make a project, or name its folder with --project"
        raise NotFound("project.missing", f"{folder} is no Mailwright project: there is no {FILE}", hint)
    try:
        document = parse_toml(FILE, path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        message = f"not UTF-8 text: byte {error.start} is {error.object[error.start]:#x}"
        raise InvalidInput.one("settings.toml", message, path=FILE, hint="save the file as UTF-8") from error
    sections = convert(_overridden(document, environment), (), _Sections)
    _check(document, sections)
    return Settings(folder=folder, **{name: getattr(sections, name) for name in sections.__struct_fields__})


def secret_from(variable: str, environment: Mapping[str, str] = _ENVIRONMENT) -> str:
    """The value of an environment variable that a definition names; it is never shown.

    Raises:
        InvalidInput: ``settings.secret``, if it is not set.
    """
    value = environment.get(variable, "")
    if not value:
        raise InvalidInput.one(
            "settings.secret",
            f"the environment variable {variable} is not set",
            hint="set it where Mailwright is started; secrets stand in no file of the project",
        )
    return value


def environment_secret(name: str) -> str:
    """A secret that a definition names by its variable of the environment; empty if that is not set."""
    return _ENVIRONMENT.get(name, "")


def environment_with(added: Mapping[str, str]) -> dict[str, str]:
    """This process's environment and `added`, for a process that we start."""
    return {**_ENVIRONMENT, **added}


def _overridden(document: Document, environment: Mapping[str, str]) -> Document:
    data = {name: dict(section) if isinstance(section, dict) else section for name, section in document.data.items()}
    known = {field.name: field.type for field in msgspec.structs.fields(_Sections)}
    for variable, text in environment.items():
        if not variable.startswith(_PREFIX):
            continue
        section, _, key = variable[len(_PREFIX) :].lower().partition("__")
        fields = {f.name: f for f in msgspec.structs.fields(known[section])} if section in known else {}
        if key not in fields:
            names = [f"{_PREFIX}{s}__{f.name}".upper() for s, t in known.items() for f in msgspec.structs.fields(t)]
            raise InvalidInput.one(
                "settings.unknown",
                f"the environment sets {variable}, which is no setting",
                hint=nearest(variable, names),
            )
        if isinstance(data.setdefault(section, {}), dict):
            data[section][key] = _from_text(variable, text, fields[key].type)
    return Document(path=document.path, text=document.text, data=data, spans=document.spans, keys=document.keys)


def _from_text(variable: str, text: str, kind: Any) -> Any:
    try:
        if getattr(kind, "__origin__", None) is list:
            parts = [part.strip() for part in text.split(",") if part.strip()]
            return msgspec.convert(parts, kind, strict=False)
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput.one("settings.environment", f"{variable}={text!r}: {error}") from error


def _check(document: Document, sections: _Sections) -> None:
    issues: list[Issue] = []
    zone = sections.project.time_zone
    if zone_named(zone) is None:
        hint = nearest(zone, available_timezones())
        issues.append(document.issue(("project", "time_zone"), f"unknown time zone {zone!r}", hint))
    try:
        networks(sections.door.trusted_proxies, "")
    except InvalidInput as error:
        issues += [document.issue(("door", "trusted_proxies"), each.message, each.hint) for each in error.issues]
    if sections.clock.kind == "virtual":
        try:
            parse_iso(sections.clock.start)
        except InvalidInput:
            message = f"a virtual clock needs the instant at which it starts, not {sections.clock.start!r}"
            issues.append(document.issue(("clock", "start"), message, "write it like 2026-11-22T09:30:00Z"))
    if issues:
        raise InvalidInput("settings.invalid", issues)
