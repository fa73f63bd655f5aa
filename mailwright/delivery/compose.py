"""Composing: from a claimed message and a person's facts to the exact bytes, or to the reason why there are none.

The bytes are made from the decision record and nothing else (see `Composer.render`): what is not in the record cannot
have been in the mail, and `mailwright.delivery.rerender` makes the same bytes from it again.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from markupsafe import escape

from mailwright.core.errors import InvalidInput, NotFound
from mailwright.core.facts import PersonFacts
from mailwright.core.instants import Instant, format_iso
from mailwright.core.messages import Envelope, Message, MessageState, SendRequest
from mailwright.core.ports import Handing, OptIn, Refusal
from mailwright.decisions.content_rules import ContentRuleDefinition
from mailwright.decisions.decide import Decision, Skip, decide
from mailwright.decisions.mail import MailDefinition
from mailwright.decisions.recommend import CatalogLookup
from mailwright.decisions.record import Refused, record, rerender_variables
from mailwright.delivery.gate import Barred, Reason, SenderIdentity
from mailwright.delivery.links import MailLinks
from mailwright.delivery.plan import Material, Plan
from mailwright.privacy.sealing import Sealer
from mailwright.rendering.links import rewrite_links
from mailwright.rendering.mime import Mail, assemble
from mailwright.rendering.template import CompiledTemplate, Rendered

PROVIDED = frozenset({"unsubscribe_url", "now", "sender.name", "sender.address", "sender.postal_address"})
"""Variables that every template gets besides those of its mail; `unsubscribe_url` is empty in transactional mail."""

CONFIRMING = frozenset({"confirm_url", "form_title", "form_language", "purposes"})
"""Variables that the template of a confirmation mail gets besides; `purposes` is a list of the wordings ticked."""

LIBRARIES = ("python-liquid", "mjml-python", "css-inline")
"""Libraries that decide the bytes of a mail; their versions are kept in its record."""

_SPACES = re.compile(r"\s+")


def provided_names(mail: MailDefinition, content_rules: Mapping[str, ContentRuleDefinition]) -> set[str]:
    """Dotted names of all variables that a template gets in this mail, for `missing_variables`."""
    names = set(PROVIDED) | set(mail.variables)
    if mail.recommend:
        names.add("recommendations")
    for rule in (content_rules[name] for name in mail.content_rules if name in content_rules):
        uses = [rule.otherwise, *(row.use for row in rule.rows)]
        names |= {f"content.{rule.slot}.{field}" for use in uses for field in use}
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A message that may be handed over: what Records keeps of it, and what the channel gets."""

    message: Message
    handing: Handing
    envelope: Envelope


@cache
def library_versions() -> Mapping[str, str]:
    """The installed versions of `LIBRARIES`."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


class Composer:
    """Decides and renders; one for as long as keys and sender identity stay."""

    def __init__(self, *, sealer: Sealer, links: MailLinks, identity: SenderIdentity) -> None:
        """Take the parts; `sealer` opens addresses and personal variables."""
        self._sealer = sealer
        self._links = links
        self._identity = identity

    def compose(
        self,
        message: Message,
        plan: Plan,
        material: Material,
        facts: PersonFacts,
        address: Mapping[str, Any],
        lookup: CatalogLookup,
        now: Instant,
        opt_in: OptIn | None = None,
    ) -> Ready | Refusal:
        """Decide and render one message that has passed the gate.

        Args:
            message: As claimed.
            plan: What it stands for.
            material: The definitions in force.
            facts: The person at the engine's last tick, with all truths that `material.asked(plan)` names.
            address: The sealed e-mail address.
            lookup: Facts of catalog items that may be shown.
            now: The project clock's instant; becomes the Date of the mail.
            opt_in: What the mail asks to confirm; None for any other mail.
        """
        decision = decide(
            plan.mail, plan.experiment, facts, material.content_rules, material.recommender, now, lookup=lookup
        )
        kept = self._record(decision, message, plan, material, facts, now)
        if isinstance(decision, Skip):
            return _refusal(message, Barred(state=MessageState.SUPPRESSED, reason=decision.reason), kept)
        try:
            template = material.templates.get(decision.ground.mail.template, decision.ground.mail.subject)
            kept["delivery"] = self._delivery(message, template, address, now)
            if opt_in is not None:
                kept["delivery"]["context"] |= self._confirming(opt_in, plan)
            body, rendered = self.render(message, kept, template)
        except (InvalidInput, NotFound) as error:
            return _late_refusal(message, Reason.TEMPLATE, str(error), kept)
        lacking = self._lacks(message, rendered, kept["delivery"])
        if lacking:
            detail = f"the template does not show it in both parts: {lacking.value}"
            return _late_refusal(message, lacking, detail, kept)
        return self._ready(message, decision, kept, body, rendered, template)

    def refuse(
        self,
        message: Message,
        plan: Plan | None,
        material: Material,
        facts: PersonFacts | None,
        barred: Barred,
        now: Instant,
    ) -> Refusal:
        """The refusal of a message that the gate or its own template bars, with its record."""
        outcome = Refused(reason=barred.reason, detail=barred.detail)
        return _refusal(message, barred, self._record(outcome, message, plan, material, facts, now))

    def render(self, message: Message, kept: Mapping[str, Any], template: CompiledTemplate) -> tuple[bytes, Rendered]:
        """The bytes of a mail from its record.

        Args:
            message: For its id and send key.
            kept: The decision record with its ``delivery`` part.
            template: In the version that the record names, for the same bytes.

        Raises:
            InvalidInput: If the template fails for these values, or a value cannot stand in a header.
        """
        delivery = kept["delivery"]
        variables = self._sealer.opened(rerender_variables(kept)) | delivery["context"]
        rendered = template.render(variables)
        if not rendered.subject:
            raise InvalidInput.one("mail.subject", "the subject is empty for this person's values")
        unsubscribe_url = delivery["context"]["unsubscribe_url"]
        keep = [unsubscribe_url, delivery["context"].get("confirm_url", "")]
        places: list[str] = []

        def tracked(url: str) -> str:
            own = self._links.own_page(url, message.id, Instant(delivery["date_at"]))
            if own is not None:
                return own
            places.append(url)
            return self._links.click(message.id, len(places) - 1, url)

        html, text = rewrite_links(rendered.html, rendered.text, tracked, self._links.pixel(message.id), keep=keep)
        return assemble(self._mail(kept, rendered.subject, html, text)), rendered

    def _mail(self, kept: Mapping[str, Any], subject: str, html: str, text: str) -> Mail:
        delivery = kept["delivery"]
        headers = delivery["headers"]
        return Mail(
            message_id=delivery["message_id"],
            date_at=Instant(delivery["date_at"]),
            from_name=delivery["context"]["sender"]["name"],
            from_address=delivery["context"]["sender"]["address"],
            to_address=self._sealer.unseal(delivery["to"]).strip(),
            reply_to=headers["reply_to"],
            subject=subject,
            html=html,
            text=text,
            unsubscribe_url=delivery["context"]["unsubscribe_url"],
            list_id=headers["list_id"],
            list_name=headers["list_name"],
            feedback_id=headers["feedback_id"],
            bulk=bool(kept["purpose"]),
        )

    def _delivery(
        self, message: Message, template: CompiledTemplate, address: Mapping[str, Any], now: Instant
    ) -> dict[str, Any]:
        """What the bytes depend on besides the decision's variables."""
        identity = self._identity
        marketing = bool(message.purpose)
        name = message.origin.partition(":")[2] or message.origin
        return {
            "message_id": f"{message.send_key}@{identity.domain}",
            "date_at": now,
            "to": dict(address),
            "template_version": template.version,
            "links_key": self._links.key_number,
            "libraries": dict(library_versions()),
            "headers": {
                "reply_to": identity.reply_to,
                "list_id": f"{name}.{identity.domain}" if marketing else "",
                "list_name": identity.from_name if marketing else "",
                "feedback_id": f"{name}:{message.step}:{message.purpose}:{identity.domain}" if marketing else "",
            },
            "context": {
                "now": format_iso(now),
                "unsubscribe_url": self._unsubscribe_url(message, address) if marketing else "",
                "sender": {
                    "name": identity.from_name,
                    "address": identity.from_address,
                    "postal_address": identity.postal_address,
                },
            },
        }

    def _confirming(self, opt_in: OptIn, plan: Plan) -> dict[str, Any]:
        return {
            "confirm_url": self._links.confirm(opt_in.id, opt_in.expires_at),
            "form_title": plan.title,
            "form_language": plan.language,
            "purposes": [wording for _, wording in opt_in.purposes],
        }

    def _unsubscribe_url(self, message: Message, address: Mapping[str, Any]) -> str:
        return self._links.unsubscribe(message.id, address["hash"], message.purpose)

    def _lacks(self, message: Message, rendered: Rendered, delivery: Mapping[str, Any]) -> Reason | None:
        """What mail that needs consent must show, in both parts, and does not."""
        if not message.purpose:
            return None
        url = delivery["context"]["unsubscribe_url"]
        if f'"{escape(url)}"' not in rendered.html or url not in rendered.text:
            return Reason.NO_UNSUBSCRIBE
        for line in self._identity.postal_address.splitlines():
            if not (_shows(rendered.html, str(escape(line.strip()))) and _shows(rendered.text, line.strip())):
                return Reason.NO_POSTAL_ADDRESS
        return None

    def _record(
        self,
        outcome: Decision | Skip | Refused,
        message: Message,
        plan: Plan | None,
        material: Material,
        facts: PersonFacts | None,
        now: Instant,
    ) -> dict[str, Any]:
        return record(
            outcome,
            _request(message),
            facts,
            matched=material.matches(plan, facts) if plan and facts else (),
            definitions_version=material.version,
            now=now,
        )

    def _ready(
        self,
        message: Message,
        decision: Decision,
        kept: Mapping[str, Any],
        body: bytes,
        rendered: Rendered,
        template: CompiledTemplate,
    ) -> Ready:
        arm = decision.ground.assignment
        handing = Handing(
            send_key=message.send_key,
            fence=message.fence,
            body=body,
            subject=rendered.subject,
            decision=kept,
            template_version=template.version,
            experiment=arm.experiment if arm else None,
            variant=arm.variant if arm else None,
            p_variant=arm.probability if arm else None,
        )
        envelope = Envelope(
            send_key=message.send_key,
            mail_from=self._identity.from_address,
            rcpt_to=self._sealer.unseal(kept["delivery"]["to"]).strip(),
            body=body,
        )
        return Ready(message=message, handing=handing, envelope=envelope)


def _late_refusal(message: Message, reason: Reason, detail: str, kept: Mapping[str, Any]) -> Refusal:
    """A refusal after the decision: its record stays, but for the outcome."""
    outcome = {"kind": "refused", "reason": reason.value, "detail": detail}
    barred = Barred(state=MessageState.SUPPRESSED, reason=reason, detail=detail)
    return _refusal(message, barred, {**kept, "outcome": outcome})


def _refusal(message: Message, barred: Barred, kept: Mapping[str, Any]) -> Refusal:
    return Refusal(
        send_key=message.send_key, fence=message.fence, state=barred.state, reason=barred.reason, decision=kept
    )


def _request(message: Message) -> SendRequest:
    return SendRequest(
        send_key=message.send_key,
        origin=message.origin,
        step=message.step,
        occurrence=message.occurrence,
        person=message.person,
        purpose=message.purpose,
        queued_at=message.queued_at,
        send_by_at=message.send_by_at,
    )


def _shows(text: str, line: str) -> bool:
    """Whether `text` shows `line`, however it is broken into lines there."""
    return line in text or _SPACES.sub(" ", line) in _SPACES.sub(" ", text)
