"""Everything that one project folder stands for, opened: stores, keys, clocks. The composition root of each process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mailwright.core.errors import Conflict
from mailwright.core.events import ClockMoved
from mailwright.core.fetching import ServiceHealth
from mailwright.core.ports import Blobs, Clock, EventLog, Fetch, History, MailDomains, MetaRecords, Records
from mailwright.delivery.pump import pump
from mailwright.ingest.hooks import Resolve
from mailwright.privacy.keys import KeyRing
from mailwright.privacy.policy import DEFAULT_PERSONAL
from mailwright.privacy.sealing import Sealer
from mailwright.runtime.clock_watch import ClockWatch
from mailwright.runtime.clocks import SystemClock, VirtualClock, machine_steady, machine_wall
from mailwright.runtime.context import context_resolver
from mailwright.runtime.engine.socket import EngineClient
from mailwright.runtime.history_views import star
from mailwright.runtime.settings import Settings
from mailwright.stores.blobs_folder import FolderBlobs
from mailwright.stores.dns_mx import DnsMailDomains
from mailwright.stores.fetch_guard import Guard
from mailwright.stores.fetch_httpx import HttpxFetch
from mailwright.stores.files import make_folder
from mailwright.stores.history_delta import DeltaHistory
from mailwright.stores.log_sqlite import SqliteEventLog
from mailwright.stores.postal_codes import PostalTable
from mailwright.stores.records_sql import SqlRecords

SERVICE = "service."
"""What the keys of services outside begin with in Records' small facts."""


SERVED_AT = "serve.address"
"""In Records' meta: where `serve` listens, or did last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The opened stores of one installation. `clock` is the project's, `wall` the machine's.

    `resolve` tells more of an incoming event's context, such as its place.
    """

    settings: Settings
    log: EventLog
    records: Records
    history: History
    blobs: Blobs
    keys: KeyRing
    sealer: Sealer
    clock: Clock
    wall: Clock
    engine: EngineClient
    fetch: Fetch
    mail_domains: MailDomains | None
    postal_codes: PostalTable | None
    resolve: Resolve | None = None

    def pump_outbox(self) -> None:
        """Bring what Records holds for the log into the log, now."""
        while pump(self.records.outbox, self.log, self.clock):
            pass

    def clock_watch(self) -> ClockWatch | None:
        """A watch on the machine's clock for one process; none where time is virtual."""
        virtual = self.settings.clock.kind == "virtual"
        return None if virtual else ClockWatch(self.records.meta, machine_wall, machine_steady)

    def close(self) -> None:
        """Give files and connections back."""
        self.engine.close()
        self.records.close()
        for port in (self.log, self.fetch, self.postal_codes):
            close = getattr(port, "close", None)
            if close:
                close()


def open_installation(settings: Settings) -> Installation:
    """Open, or make, the data folder of a project.

    Raises:
        Conflict: If the folder was made with another clock.
    """
    folder = settings.data_folder
    make_folder(folder, 0o700)
    log = SqliteEventLog(folder / "log.sqlite")
    records = SqlRecords.open(folder / "records.sqlite")
    keys = KeyRing.open(folder / "keys")
    try:
        _fix_clock(settings, log, records.meta)
    except BaseException:
        records.close()
        log.close()
        raise
    wall = SystemClock()
    return Installation(
        settings=settings,
        log=log,
        records=records,
        history=DeltaHistory(folder / "history", star(records.definitions)),
        blobs=FolderBlobs(folder / "blobs"),
        keys=keys,
        sealer=Sealer(keys, DEFAULT_PERSONAL | frozenset(settings.privacy.personal)),
        clock=VirtualClock(log) if settings.clock.kind == "virtual" else wall,
        wall=wall,
        engine=EngineClient(folder / "engine.sock"),
        fetch=_fetch(settings, wall, records.meta),
        resolve=context_resolver(settings, records.definitions),
        mail_domains=_mail_domains(settings),
        postal_codes=_postal_codes(settings),
    )


def _fetch(settings: Settings, wall: Clock, meta: MetaRecords) -> HttpxFetch:
    """How services outside are asked; how each one does is kept in Records, for whoever asks."""

    def noted(health: ServiceHealth) -> None:
        meta.put(f"{SERVICE}{health.service}", msgspec.json.encode(health).decode())

    outgoing = settings.outgoing
    certificates = str(settings.folder / outgoing.certificates) if outgoing.certificates else None
    return HttpxFetch(
        Guard(allow=outgoing.allow, ports=outgoing.ports),
        wall,
        per_minute=outgoing.per_minute,
        user_agent=outgoing.user_agent,
        certificates=certificates,
        on_change=noted,
        folder=settings.data_folder / "services",
    )


def service_health(meta: MetaRecords, service: str) -> ServiceHealth:
    """How a service outside did when that last changed."""
    told = meta.get(f"{SERVICE}{service}")
    return msgspec.json.decode(told, type=ServiceHealth) if told else ServiceHealth(service=service, state="well")


def _mail_domains(settings: Settings) -> MailDomains | None:
    dns = settings.dns
    return DnsMailDomains(dns.servers, port=dns.port, timeout_s=dns.timeout_s) if dns.check_mail_domains else None


def _postal_codes(settings: Settings) -> PostalTable | None:
    told = settings.forms.postal_codes
    return PostalTable(settings.folder / told, settings.data_folder / "postal_codes.sqlite") if told else None


def _fix_clock(settings: Settings, log: EventLog, meta: MetaRecords) -> None:
    kind = meta.get("clock")
    if kind is None:
        meta.put("clock", settings.clock.kind)
    elif kind != settings.clock.kind:
        raise Conflict(
            "clock.fixed",
            f"this data folder was made with a {kind} clock, but mailwright.toml says {settings.clock.kind}",
            "a project's clock is fixed when its data folder is made: set it back, or name another [data] folder",
        )
    if settings.clock.kind == "virtual" and log.last()[0] == 0:
        log.append([ClockMoved()], settings.clock_start)


@contextmanager
def only_one(path: Path, what: str, where: Path | None = None) -> Iterator[None]:
    """Hold the lock file at `path`; its holder's pid stands in it. `where` is what it guards, if not its folder.

    Raises:
        Conflict: If another process holds it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = os.pread(handle, 32, 0).decode().strip() or "unknown"
            raise Conflict(
                "process.running",
                f"{what} already runs on {where or path.parent} (pid {pid})",
                "stop it first, or use what runs",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)
