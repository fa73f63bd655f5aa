"""Taking a submission: refuse robots, check the answers, tell the log, keep consent or ask for its confirmation."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from starlette.requests import Request

from mailwright.core.errors import Conflict, InvalidInput, MailwrightError
from mailwright.core.events import Event, Events, Identifier
from mailwright.core.instants import DAY, Instant
from mailwright.core.ports import Consent, OptIn
from mailwright.delivery.opt_ins import confirmation, form_origin
from mailwright.ingest.forms.answers import Checked, Means, nobody_knows
from mailwright.ingest.forms.checks import check_all
from mailwright.ingest.forms.definitions import TAGS, FieldDefinition, FormDefinition, PurposeDefinition
from mailwright.ingest.forms.languages import texts_of
from mailwright.ingest.forms.submission import (
    ANSWERED,
    SUBMITTED,
    Told,
    identify_call,
    mailbox_of,
    ticked,
    told_by,
    track_call,
    unverified,
)
from mailwright.ingest.segment import Source, parse_request
from mailwright.runtime.quarantine import Came
from mailwright.web.clients import network_address
from mailwright.web.context import WebContext
from mailwright.web.forms.tags import readers_tags, visitors_tags
from mailwright.web.forms.visit import Visit, known_traits, read_issue, remember

_log = logging.getLogger(__name__)

TRAP = "website"
"""A field that nobody sees: who fills it in is a robot."""

_AGENT_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A submission as it came.

    Attributes:
        answers: Trait -> text, or a list of texts.
        boxes: Purposes whose boxes are ticked.
        trap: What stands in the field that nobody sees.
        issued: The token of the form that was shown.
        agent: The browser's own description.
        ip: Its network address.
        page_url: The page that the form stands in.
    """

    answers: Mapping[str, Any]
    boxes: Sequence[str] = ()
    trap: str = ""
    issued: str = ""
    agent: str = ""
    ip: str = ""
    page_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of it.

    Attributes:
        faults: Trait, ``purpose:NAME`` or "" (the form itself) -> what is wrong; empty: it was taken.
        suggestions: Trait -> what was probably meant.
        confirm: Whether a mail asks for confirmation now.
        visitor: The token for the browser to keep.
    """

    faults: Mapping[str, str] = field(default_factory=dict)
    suggestions: Mapping[str, str] = field(default_factory=dict)
    confirm: bool = False
    visitor: str = ""


def seen_of(request: Request) -> dict[str, str]:
    """The browser's description and network address."""
    agent = request.headers.get("user-agent", "")[:_AGENT_CHARS]
    return {"agent": agent, "ip": network_address(request)}


def take(context: WebContext, visit: Visit, asked: Asked) -> Taken:
    """Take a submission, or say what is wrong with it. The answer never depends on whether an address is known.

    Raises:
        Transient: If log or Records cannot be written now, or nobody can say to which tags an answer adds: nothing was
            granted.
    """
    robot, nonce = _robot(context, visit, asked)
    if robot:
        return Taken(faults={"": robot})
    fields = _answered_fields(visit, asked)
    checked = check_all(visit.form, fields, asked.answers, means_of(context))
    faults = _faults(visit.form, checked, asked)
    suggestions = {trait: one.suggestion for trait, one in checked.items() if one.suggestion}
    if faults:
        return Taken(faults=faults, suggestions=suggestions)
    values = {trait: one.value for trait, one in checked.items() if one.value is not None}
    said = _Said(context, visit, asked, values, fields, nonce)
    confirm = said.by_link() if visit.reader else said.by_browser()
    return Taken(confirm=confirm, visitor=said.visitor(), suggestions=suggestions)


def means_of(context: WebContext) -> Means:
    """What answers are checked by here."""
    domains = context.mail_domains
    return Means(
        takes_mail=domains.takes_mail if domains else nobody_knows,
        places=context.postal_places,
        allow_reserved=context.settings.allow_reserved_domains,
    )


def _robot(context: WebContext, visit: Visit, asked: Asked) -> tuple[str, str]:
    """(why it is refused, nonce of the shown form)."""
    say = texts_of(visit.form)
    try:
        nonce, seconds = read_issue(context, visit.name, asked.issued)
    except (InvalidInput, KeyError, ValueError):
        return say("open_too_long"), ""
    if asked.trap:
        return say("trapped"), ""
    if visit.reader is None and seconds < visit.form.limits.least_seconds:
        return say("too_fast"), ""
    return "", nonce


def _answered_fields(visit: Visit, asked: Asked) -> list[FieldDefinition]:
    """The fields asked this time, and any other of the form's that has an answer."""
    shown = {one.trait for one in visit.fields}
    given = {trait for trait, value in asked.answers.items() if value not in (None, "", [])}
    return [
        one
        for one in visit.form.fields
        if one.trait in shown or (one.trait in given and not (one.type == "email" and visit.reader))
    ]


def _faults(form: FormDefinition, checked: Mapping[str, Checked], asked: Asked) -> dict[str, str]:
    faults = {trait: one.fault for trait, one in checked.items() if one.fault}
    for one in form.purposes:
        if one.required and one.purpose not in asked.boxes:
            faults[f"purpose:{one.purpose}"] = texts_of(form)("missing_box")
    return faults


class _Said:
    """One good submission on its way to log and Records."""

    def __init__(
        self,
        context: WebContext,
        visit: Visit,
        asked: Asked,
        values: dict[str, Any],
        fields: list[FieldDefinition],
        nonce: str,
    ) -> None:
        self.context = context
        self.visit = visit
        self.asked = asked
        self.values = values
        self.told = told_by(fields, values)
        self.boxes = ticked(visit.form, asked.boxes)
        self.now = context.clock.now()
        told = msgspec.json.encode([visit.name, nonce, values, sorted(asked.boxes)])
        self.id = hashlib.sha256(told).hexdigest()[:32]
        self.anonymous_id = visit.anonymous_id or f"form-{self.id}"

    def visitor(self) -> str:
        """The token for the browser; none for who came by a link, whose browser it need not be."""
        if self.visit.reader:
            return ""
        return remember(self.context, self.visit, list(self.values), self.anonymous_id)

    def by_browser(self) -> bool:
        """Somebody who proves nothing; whether a mail asks them to confirm."""
        form = self.visit.form
        email = str(self.values.get("email") or "")
        if form.double_opt_in and email:
            self._ask(email)
            self._tell_unproven(unverified(self.told.traits))
            return True
        self._tell_unproven(self._unproven(email))
        if email and self.boxes:
            address = self.context.sealer.seal("email", email)
            self.boxes = self._not_withdrawn(address["hash"])
            if self.boxes:
                self._keep(address, f"anonymous_id:{self.anonymous_id}")
        return False

    def _not_withdrawn(self, address_hash: str) -> list[PurposeDefinition]:
        """The ticked boxes that may be granted on somebody's mere word: anybody can type in anybody's address.

        None of an address that must get no mail, and none that its owner has withdrawn: to bring these back, the owner
        has to prove it, by a confirmation mail or a link of their own mail.
        """
        consents = self.context.records.consents
        if consents.suppressed([address_hash]):
            left: list[PurposeDefinition] = []
        else:
            newest = {row.purpose: row.granted for row in consents.ledger(address_hash)}
            left = [box for box in self.boxes if newest.get(box.purpose, True)]
        if len(left) < len(self.boxes):
            _log.warning(
                "form %s: nothing was granted to an address that had unsubscribed or is suppressed; "
                "give the form double_opt_in to let people come back",
                self.visit.name,
            )
        return left

    def by_link(self) -> bool:
        """Whoever the mail was written to: the mail reached them, so nothing is left to confirm."""
        reader = self.visit.reader
        assert reader is not None  # noqa: S101  # the caller has looked
        traits, at = dict(self.told.traits), None
        if self.told.has_tags:
            traits[TAGS], at = readers_tags(self.context, reader, self.told.added, self.told.removed)
        self._tell(traits, reader.identifier, at)
        if self.boxes:
            first = f"{reader.identifier.kind}:{reader.identifier.value}"
            self._keep(reader.address, first, reader.message.id)
        return False

    def _unproven(self, email: str) -> dict[str, Any]:
        """Traits of somebody whose address counts as told, without any proof.

        If the address is somebody's already, whoever typed it may be anybody: then only what that person lacks is
        filled in, and this browser is not taken for theirs.
        """
        traits = dict(self.told.traits)
        if not email:
            return traits
        try:
            engine = self.context.engine
            person = engine.find("email", self.context.seal.hash("email", email))
            facts = None if person is None else engine.facts([person]).get(person)
        except MailwrightError:
            self.anonymous_id, self.told = f"form-{self.id}", Told()
            return {"email": email}
        if facts is None:
            return traits
        self.anonymous_id = f"form-{self.id}"
        known = known_traits(facts)
        if TAGS in known:
            self.told = Told()
        return {"email": email} | {name: value for name, value in traits.items() if name not in known}

    def _tell_unproven(self, traits: dict[str, Any]) -> None:
        at = None
        if self.told.has_tags:
            browser = Identifier("anonymous_id", self.anonymous_id)
            traits[TAGS], at = visitors_tags(
                self.context,
                browser,
                self.told.added,
                self.told.removed,
                is_new=self.anonymous_id != self.visit.anonymous_id,
            )
        self._tell(traits, None, at)

    def _tell(self, traits: Mapping[str, Any], identifier: Identifier | None, at: Instant | None) -> None:
        is_survey = self.visit.form.kind == "survey"
        properties: dict[str, Any] = {
            "form": self.visit.name,
            "fields": sorted(self.values),
            "purposes": [b.purpose for b in self.boxes],
        }
        if is_survey:
            texts = {one.trait for one in self.visit.form.fields if one.type == "text"}  # may say anything
            properties["answers"] = {trait: value for trait, value in self.values.items() if trait not in texts}
        calls = [
            track_call(f"{self.id}:submitted", self.anonymous_id, ANSWERED if is_survey else SUBMITTED, properties)
        ]
        if traits:
            calls.insert(0, identify_call(f"{self.id}:identify", self.anonymous_id, traits, at))
        tell(self.context, self.visit.name, calls, identifier, self.asked)

    def _opt_in(self, address: Mapping[str, Any], first: str, message_id: str = "") -> OptIn:
        form, context = self.visit.form, self.context
        current = context.records.definitions.current()
        lasts = form.double_opt_in.expires_micros if form.double_opt_in else 0
        return OptIn(
            id=self.id,
            form=self.visit.name,
            address_hash=address["hash"],
            address=address,
            purposes=[(one.purpose, one.wording) for one in self.boxes],
            identifier=first,
            asked_at=self.now,
            expires_at=Instant(self.now + lasts),
            asked_ip=sealed_ip(context, form, self.asked.ip),
            asked_agent=self.asked.agent,
            wording_version=current.version if current else 0,
            message_id=message_id,
        )

    def _ask(self, email: str) -> None:
        double = self.visit.form.double_opt_in
        assert double is not None  # noqa: S101  # the caller has looked
        address = self.context.sealer.seal("email", email)
        opt_in = replace(
            self._opt_in(address, f"anonymous_id:{self.anonymous_id}"),
            mailbox_hash=self.context.sealer.hash_address(mailbox_of(email)),
        )
        language = self.visit.form.language
        translated = language in self.context.project.forms[self.visit.name].translations
        mail = confirmation(opt_in, language if translated else "")
        try:
            asked = self.context.records.opt_ins.ask(
                opt_in, mail, most=double.mails_a_day, since=Instant(self.now - DAY)
            )
        except Conflict:
            return  # the same form sent twice
        if not asked:
            _log.warning("form %s: an address has been asked to confirm often enough today", self.visit.name)

    def _keep(self, address: Mapping[str, Any], first: str, message_id: str = "") -> None:
        opt_in = replace(self._opt_in(address, first, message_id), confirmed_at=self.now)
        try:
            self.context.records.opt_ins.keep(opt_in, consents_of(opt_in, self.now))
        except Conflict:
            return  # the same form sent twice
        self.context.count(form_origin(self.visit.name), "consents", len(opt_in.purposes))


def consents_of(opt_in: OptIn, at: Instant) -> list[Consent]:
    """The ledger rows of an opt-in."""
    return [
        Consent(
            address_hash=opt_in.address_hash,
            purpose=purpose,
            granted=True,
            at=at,
            source=form_origin(opt_in.form),
            wording=wording,
        )
        for purpose, wording in opt_in.purposes
    ]


def sealed_ip(context: WebContext, form: FormDefinition | None, ip: str) -> Mapping[str, Any] | None:
    """The network address for a proof, sealed; None where it is not kept."""
    return context.sealer.seal("ip", ip) if ip and form is not None and form.keep_ip else None


def tell(
    context: WebContext,
    name: str,
    calls: Sequence[Mapping[str, Any]],
    identifier: Identifier | None,
    asked: Asked | None = None,
) -> None:
    """Append calls to the log as events of the source ``form:NAME``, as the door would; what it holds back is kept.

    Args:
        context: The application's.
        name: Of the form.
        calls: As Segment's API takes them.
        identifier: Whose they are, if a link proves it; else the calls say it.
        asked: The submission, for its network address, browser and page.

    Raises:
        Transient: If the log cannot be written now.
    """
    now = context.clock.now()
    source = Source(form_origin(name), "server")
    parsed = parse_request(
        "batch",
        msgspec.json.encode({"batch": list(calls)}),
        context.ingest_rules,
        source=source,
        received_at=now,
        new_id=lambda: f"form-{uuid.uuid4()}",
        context=_seen(asked) if asked else {},
        keeps_held=True,
    )
    proven = [identifier] if identifier is not None else []
    if parsed.held:
        parsed = context.quarantine.kept(Came(source=source, received_at=now, identifiers=proven), parsed)
    for refusal in parsed.refused:
        _log.warning("form %s: the log does not take %s", name, refusal.field)  # the reason may show the value
    events: list[Event] = list(parsed.events)
    if proven:
        events = [msgspec.structs.replace(event, identifiers=proven) for event in events]
    if events:
        context.log.append([Events(events)], now)
    if context.collected is not None:
        context.collected.add(source.name, parsed)


def _seen(asked: Asked) -> dict[str, Any]:
    seen: dict[str, Any] = {"ip": asked.ip, "userAgent": asked.agent}
    if asked.page_url:
        seen["page"] = {"url": asked.page_url}
    return {name: value for name, value in seen.items() if value}
