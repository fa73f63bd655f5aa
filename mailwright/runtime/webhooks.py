"""Taking the deliveries of webhooks: verified, mapped, and durable before the sender hears that all is well."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import uuid4

from mailwright.core.errors import MailwrightError, NotFound, Transient
from mailwright.core.events import Body, Events, Items
from mailwright.core.instants import DAY, Instant
from mailwright.core.outside import WebhookTally
from mailwright.core.ports import Clock, EventLog, Fetch, Records
from mailwright.ingest.consents import ParsedConsents, ParsedSuppressions, parse_consents, parse_suppressions
from mailwright.ingest.definitions import CatalogDefinition
from mailwright.ingest.hooks import IngestRules
from mailwright.ingest.items import ParsedItems, parse_items
from mailwright.ingest.limits import Refusal
from mailwright.ingest.segment import Parsed, Source, parse_request
from mailwright.ingest.webhooks.definitions import Challenge, WebhookDefinition
from mailwright.ingest.webhooks.mapping import Mapped, Mapper, Refused, encoded
from mailwright.ingest.webhooks.verification import Authentic, Request, secret_names, verify
from mailwright.privacy.sealing import Sealer
from mailwright.runtime.collected import Collected
from mailwright.runtime.quarantine import Came, Quarantine
from mailwright.runtime.settings import environment_secret
from mailwright.runtime.sns import certificates, confirmed

_log = logging.getLogger(__name__)

REMEMBERED_MICROS = 35 * DAY
"""How long deliveries are remembered: longer than any sender repeats one, and than message ids count once."""

_WIDER = 4  # what a body becomes may be so many times as large as a body may be


class NotGenuine(MailwrightError):
    """Nothing shows that the request comes from whom it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookReport:
    """What came of a delivery.

    Attributes:
        replayed: It had come before: nothing was written but what keeps mail away, if only its body is known.
        ignored: No template asked for anything of it.
        held: Why events are held back by the tracking plan; they are kept, to be mended and let in.
    """

    events: int = 0
    consents: int = 0
    suppressions: int = 0
    items: int = 0
    replayed: bool = False
    ignored: bool = False
    refused: Sequence[Refused] = ()
    warned: Sequence[Refused] = ()
    held: Sequence[Refused] = ()

    @property
    def accepted(self) -> int:
        """All that was taken."""
        return self.events + self.consents + self.suppressions + self.items


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """What a body would write, checked as the door checks it."""

    mapped: Mapped
    calls: Parsed
    consents: ParsedConsents
    suppressions: ParsedSuppressions
    items: ParsedItems
    report: WebhookReport


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDoor:
    """Takes deliveries. `clock` is the project's; `wall` the machine's, for what senders have signed.

    `collected` counts what they bring; None if nothing does. `fetch` gets certificates; None: senders that sign by one
    are nobody.
    """

    log: EventLog
    records: Records
    clock: Clock
    wall: Clock
    sealer: Sealer
    rules: IngestRules
    catalogs: Mapping[str, CatalogDefinition]
    collected: Collected | None = None
    fetch: Fetch | None = None
    secret: Callable[[str], str] = environment_secret

    def take(self, name: str, definition: WebhookDefinition, request: Request) -> WebhookReport:
        """Verify a delivery and write what it holds.

        Raises:
            NotGenuine: ``webhook.signature``; nothing was written.
            Transient: ``webhook.secret``, or if what it holds could not be made durable: it may be sent again.
            InvalidInput: ``webhook.body``.
        """
        genuine = self._verified(name, definition, request)
        if (
            definition.verify.kind == "sns"
            and self.fetch is not None
            and confirmed(self.fetch, definition.verify.topic, request)
        ):
            self.records.webhooks.delivered(name, [], WebhookTally(received=1, last_at=self.wall.now()))
            return WebhookReport()
        drafted = draft(name, definition, request, rules=self.rules, catalogs=self.catalogs, now=self.clock.now())
        seals = [_key(seal) for seal in genuine.seals]
        ids = [_key("id\0" + drafted.mapped.delivery)] if drafted.mapped.delivery else []
        webhooks, now = self.records.webhooks, self.wall.now()
        if webhooks.seen(name, [*seals, *ids]):
            known_by_itself = definition.verify.has_timestamp or webhooks.seen(name, ids)
            return self._repeated(name, None if known_by_itself else drafted)
        if not genuine.covers_body and not webhooks.bind(name, _key("bound\0" + seals[0]), _digest(request), now):
            _log.warning("a request to the webhook %s was refused: its token has come with another body", name)
            raise _not_genuine()
        calls = self._kept(name, drafted.calls)
        drafted = replace(drafted, calls=calls, report=_report(replace(drafted, calls=calls)))
        self._write(drafted)
        report = drafted.report
        tally = WebhookTally(
            received=1,
            accepted=report.accepted,
            refused=len(report.refused),
            ignored=int(report.ignored),
            last_at=now,
            last_fault=_fault(report),
        )
        # What came to nothing may be sent again, once the definition is mended.
        nothing = not (report.accepted or report.held) and bool(report.refused or report.ignored)
        webhooks.delivered(name, [] if nothing else [*seals, *ids], tally)
        if self.collected is not None:
            self.collected.add(_source(name).name, _counted(drafted))
            self._count_others(self.collected, _source(name).name, drafted)
        return report

    def _repeated(self, name: str, drafted: Drafted | None) -> WebhookReport:
        """A delivery that has come before; with `drafted` one that is known by its body alone.

        Such a body may well be another delivery: whoever withdraws, agrees again and withdraws again tells the same
        twice. So what keeps mail away holds each time, and only the rest makes nothing twice.
        """
        report = WebhookReport(replayed=True)
        if drafted is not None:
            drafted = self._protecting(drafted)
            report = replace(_report(drafted), replayed=True)
            self._write(drafted)
            if self.collected is not None:
                self._count_others(self.collected, _source(name).name, drafted)
        tally = WebhookTally(received=1, accepted=report.accepted, replayed=1, last_at=self.wall.now())
        self.records.webhooks.delivered(name, [], tally)
        return report

    def _protecting(self, drafted: Drafted) -> Drafted:
        """Of what a body would write, what keeps mail away and is not known already."""
        ledger = self.records.consents
        told, out = drafted.consents.consents, drafted.suppressions.suppressions
        withdrawn = [one for one in told if not one.granted and one not in ledger.ledger(one.address_hash)]
        known = ledger.suppressed([one.address_hash for one in out])
        left = [one for one in out if one.address_hash not in known]
        return replace(
            drafted,
            mapped=Mapped(),
            calls=Parsed(events=[], refused=[], warned=[]),
            consents=ParsedConsents(consents=withdrawn, refused=()),
            suppressions=ParsedSuppressions(suppressions=left, refused=()),
            items=ParsedItems(items=[], refused=[]),
        )

    def _count_others(self, collected: Collected, source: str, drafted: Drafted) -> None:
        consents, suppressions, items = drafted.consents, drafted.suppressions, drafted.items
        collected.add_others(source, "consents", len(consents.consents), consents.refused)
        collected.add_others(source, "suppressions", len(suppressions.suppressions), suppressions.refused)
        collected.add_others(source, "items", len(items.items), items.refused)

    def _kept(self, name: str, calls: Parsed) -> Parsed:
        """With what the tracking plan holds back kept; repeated after a crash, once by its message id."""
        if not calls.held:
            return calls
        quarantine = Quarantine(self.records, self.sealer, self.clock, self.log)
        return quarantine.kept(Came(source=_source(name), received_at=self.clock.now()), calls)

    def challenged(self, challenge: Challenge | None, query: Mapping[str, str]) -> str:
        """What a sender's GET is answered with.

        Raises:
            NotFound: If the webhook expects no such question.
            NotGenuine: If its token is wrong.
        """
        told = query.get(challenge.parameter, "") if challenge else ""
        if challenge is None or not told or len(told) > _CHALLENGE_CHARS or not set(told) <= _CHALLENGE:
            raise NotFound("webhook.challenge", "this webhook expects no such question", "send what it takes by POST")
        if challenge.token_parameter:
            wanted = self.secret(challenge.token_env)
            got = query.get(challenge.token_parameter, "")
            if not wanted or hashlib.sha256(got.encode()).digest() != hashlib.sha256(wanted.encode()).digest():
                raise _not_genuine()
        return told

    def _verified(self, name: str, definition: WebhookDefinition, request: Request) -> Authentic:
        names = secret_names(definition.verify)
        secrets = [self.secret(one) for one in names]
        if names and not any(secrets):
            _log.error("the webhook %s cannot be verified: %s is not set", name, " and ".join(names))
            raise Transient("webhook.secret", "this webhook cannot be verified yet", "its secret is not set here")
        now, headers = self.wall.now(), definition.headers_asked()
        keys = {"certificates": certificates(self.fetch, now)} if self.fetch is not None else {}
        found = verify(definition.verify, request, secrets, now, headers, **keys)
        if isinstance(found, str):
            _log.warning("a request to the webhook %s was refused: %s", name, found)
            raise _not_genuine()
        return found

    def _write(self, drafted: Drafted) -> None:
        """What binds the gate first, then the log. Repeated after a crash in between, nothing counts twice."""
        consents = self.records.consents
        if drafted.consents.consents:
            consents.record(drafted.consents.consents)
        if drafted.suppressions.suppressions:
            told = {one.address_hash: one.reason for one in reversed(drafted.suppressions.suppressions)}
            consents.suppress(told, self.clock.now())
        bodies: list[Body] = []
        if drafted.items.items:
            bodies.append(Items(list(drafted.items.items)))
        if drafted.calls.events:
            bodies.append(Events(list(drafted.calls.events)))
        if bodies:
            self.log.append(bodies, self.clock.now())


def draft(
    name: str,
    definition: WebhookDefinition,
    request: Request,
    *,
    rules: IngestRules,
    catalogs: Mapping[str, CatalogDefinition],
    now: Instant,
) -> Drafted:
    """What a body would write; writes nothing and verifies nothing.

    Raises:
        InvalidInput: ``webhook.body``; or all that it becomes is more than the door takes in one request.
    """
    mapped = Mapper(name, definition, rules.limits).map(request)
    wider = replace(rules.limits, request_bytes=_WIDER * rules.limits.request_bytes)
    source, hash_address = _source(name), partial(rules.sealer.hash, "email")
    calls = Parsed(events=[], refused=[], warned=[])
    if mapped.events:
        calls = parse_request(
            "batch",
            encoded("batch", mapped.events),
            replace(rules, limits=wider),
            source=source,
            received_at=now,
            new_id=lambda: f"mailwright-{uuid4()}",
            keeps_held=True,
        )
    consents = parse_consents(
        encoded("consents", [{"source": source.name, **one} for one in mapped.consents]),
        hash_address=hash_address,
        received_at=now,
        limits=wider,
    )
    suppressions = parse_suppressions(
        encoded("suppressions", mapped.suppressions), hash_address=hash_address, limits=wider
    )
    items = parse_items(encoded("items", mapped.items), catalogs=catalogs, received_at=now, limits=wider)
    drafted = Drafted(
        mapped=mapped,
        calls=calls,
        consents=consents,
        suppressions=suppressions,
        items=items,
        report=WebhookReport(),
    )
    return replace(drafted, report=_report(drafted))


_CHALLENGE_CHARS = 256
_CHALLENGE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~=")


def _key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _digest(request: Request) -> str:
    return hashlib.sha256(request.body).hexdigest()[:32]


def _not_genuine() -> NotGenuine:
    return NotGenuine("webhook.signature", "nothing shows that this comes from whom it says")


def _source(name: str) -> Source:
    return Source(name=f"webhook:{name}", kind="server")


def _counted(drafted: Drafted) -> Parsed:
    """What is counted: of calls that could not even be made, their place alone, since the words may show a value."""
    unmade = [
        Refusal(-1, f"{one.output}: {one.field}" if one.field else one.output, "nothing can be made of it")
        for one in drafted.mapped.refused
    ]
    return replace(drafted.calls, refused=[*drafted.calls.refused, *unmade])


def _report(drafted: Drafted) -> WebhookReport:
    mapped, calls, items = drafted.mapped, drafted.calls, drafted.items
    consents, suppressions = drafted.consents, drafted.suppressions
    refused = list(mapped.refused)
    parts = (("events", calls), ("consents", consents), ("suppressions", suppressions), ("items", items))
    for name, parsed in parts:
        refused += _placed(mapped, name, parsed.refused)
    return WebhookReport(
        events=len(calls.events),
        consents=len(consents.consents),
        suppressions=len(suppressions.suppressions),
        items=len(items.items),
        ignored=mapped.ignored,
        refused=refused,
        warned=_placed(mapped, "events", calls.warned),
        held=_placed(mapped, "events", [why for one in calls.held for why in one.warned]),
    )


def _placed(mapped: Mapped, name: str, refusals: Sequence[Refusal]) -> list[Refused]:
    """Refusals of the door, by the template and element that they are about."""
    origins = mapped.origins.get(name, [])
    found = []
    for one in refusals:
        output, index = origins[one.index] if 0 <= one.index < len(origins) else (name, one.index)
        found.append(Refused(output=output, index=index, field=one.field, reason=one.reason))
    return found


def _fault(report: WebhookReport) -> str:
    """The first refusal by its place alone: its words may show a value."""
    if report.refused:
        return f"{report.refused[0].output}: {report.refused[0].field or 'the whole'}"
    return "no template asked for anything of it" if report.ignored else ""


def report_body(report: WebhookReport) -> dict[str, Any]:
    """A report as the door answers it."""
    told: dict[str, Any] = {
        name: n for name in ("events", "consents", "suppressions", "items") if (n := getattr(report, name))
    }
    answer: dict[str, Any] = {"accepted": report.accepted, **told, "refused": [_row(one) for one in report.refused]}
    if report.warned:
        answer["warned"] = [_row(one) for one in report.warned]
    if report.held:
        answer["quarantined"] = [_row(one) for one in report.held]
    return answer | {name: True for name in ("replayed", "ignored") if getattr(report, name)}


def _row(one: Refused) -> dict[str, Any]:
    return {"output": one.output, "index": one.index, "field": one.field, "reason": one.reason}


def forget_deliveries(records: Records, now: Instant) -> int:
    """Forget deliveries older than `REMEMBERED_MICROS`."""
    return records.webhooks.forget(Instant(now - REMEMBERED_MICROS))
