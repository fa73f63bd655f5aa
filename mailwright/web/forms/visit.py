"""Who is filling in a form, as far as that is proven, and what they are asked. Nothing here tells what is known.

A link of a mail proves whom the mail was written to. A browser proves nothing; what it answered itself it carries in a
token that we signed. An address proves nothing at all, so nothing is ever looked up by one that somebody typed.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any

from mailwright.core.errors import InvalidInput, MailwrightError, NotFound
from mailwright.core.events import NOBODY, Identifier
from mailwright.core.facts import PersonFacts
from mailwright.core.instants import DAY, SECOND, Instant
from mailwright.core.messages import Message
from mailwright.delivery.links import MailLinks
from mailwright.ingest.forms.asking import asked_fields
from mailwright.ingest.forms.definitions import RATINGS, FieldDefinition, FormDefinition
from mailwright.ingest.forms.languages import spoken, texts_of
from mailwright.ingest.forms.places import country_names
from mailwright.ingest.identifiers import is_blocked
from mailwright.web.context import WebContext
from mailwright.web.described import Told

ISSUED_MICROS = DAY
"""A form may lie open so long before it is sent."""

ANONYMOUS = re.compile(r"[A-Za-z0-9_.-]{8,128}")
_MOST_REMEMBERED = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Whom a link's mail was written to.

    Attributes:
        identifier: Their first identifier, as the log knows it.
        address: Their sealed e-mail address.
    """

    message: Message
    identifier: Identifier
    address: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One person in front of one form.

    Attributes:
        anonymous_id: The browser's own, as it told; empty if it has none.
        known: Traits that need not be asked again.
        answered: Those of them that this browser answered here before.
    """

    name: str
    form: FormDefinition
    reader: Reader | None = None
    anonymous_id: str = ""
    known: frozenset[str] = frozenset()
    answered: frozenset[str] = frozenset()

    @property
    def fields(self) -> list[FieldDefinition]:
        """What is asked this time."""
        return asked_fields(self.form, self.known, by_link=self.reader is not None)


def visit_of(
    context: WebContext, name: str, accepted: str, *, link: str = "", visitor: str = "", anonymous: str = ""
) -> Visit:
    """Who is there.

    Args:
        context: The application's.
        name: Of the form.
        accepted: The browser's Accept-Language.
        link: The token of a link in a mail; one that is not valid counts as none.
        visitor: The token that this browser got for what it answered before.
        anonymous: The browser's anonymous id.

    Raises:
        NotFound: ``form.unknown``.
    """
    form = spoken(form_of(context, name), accepted)
    reader = _linked(context, name, link)
    if reader is not None:
        return Visit(name=name, form=form, reader=reader, known=known_traits(facts_of(context, reader)))
    told = _visitor(context, visitor)
    anonymous_id = str(told.get("a") or "")
    if not anonymous_id and ANONYMOUS.fullmatch(anonymous) and not is_blocked(anonymous):
        anonymous_id = anonymous
    answered = frozenset(str(each) for each in told.get("k") or ())
    known = answered | _of_browser(context, anonymous_id)
    return Visit(name=name, form=form, anonymous_id=anonymous_id, known=known, answered=answered)


def form_of(context: WebContext, name: str) -> FormDefinition:
    """A form in force.

    Raises:
        NotFound: ``form.unknown``.
    """
    form = context.project.forms.get(name)
    if form is None:
        raise NotFound("form.unknown", f"there is no form {name!r}")  # no nearest name: the address is public
    return form


def reader_of(context: WebContext, message_id: str) -> Reader | None:
    """Whom a mail was written to; None for one that never got so far, or to somebody who is not known."""
    message = context.records.messages.by_id(message_id)
    decision = (message.decision or {}) if message else {}
    kind, _, value = str(decision.get("first_identifier") or "").partition(":")
    address = (decision.get("delivery") or {}).get("to")
    if message is None or message.person == NOBODY or not value or not context.sealer.is_sealed(address):
        return None
    return Reader(message=message, identifier=Identifier(kind, value), address=address)


def facts_of(context: WebContext, reader: Reader) -> PersonFacts | None:
    """The facts of a mail's reader; None if nobody has any now."""
    try:
        return context.engine.facts([reader.message.person]).get(reader.message.person)
    except MailwrightError:
        return None


def known_traits(facts: PersonFacts | None) -> frozenset[str]:
    """Names of the traits that have a value."""
    if facts is None:
        return frozenset()
    return frozenset(name for name, known in facts.traits.items() if known.value not in (None, "", []))


def links_of(context: WebContext) -> MailLinks:
    """Makes and reads the links of mails."""
    return MailLinks(context.tokens, context.settings.base_url)


def issue(context: WebContext, name: str, language: str) -> str:
    """A token that says when this form was shown, and in which language; it is needed to send it."""
    now = context.lease_clock.now()
    told = {"f": name, "n": secrets.token_hex(8), "t": now, "l": language}
    return context.tokens.sign("issue", told, Instant(now + ISSUED_MICROS))


def read_issue(context: WebContext, name: str, token: str) -> tuple[str, float]:
    """(nonce, seconds since the form was shown).

    Raises:
        InvalidInput: If this form was not shown, or too long ago.
    """
    now = context.lease_clock.now()
    told = context.tokens.verify("issue", token, now)
    if not isinstance(told, dict) or told.get("f") != name:
        raise InvalidInput.one("token.invalid", "the form was not shown here", hint="open the page again")
    return str(told["n"]), (now - int(told["t"])) / SECOND


def shown_language(context: WebContext, issued: str) -> str:
    """In which language the form of that token was shown: what people agreed to is what they read; else empty."""
    try:
        told = context.tokens.verify("issue", issued, context.lease_clock.now())
    except InvalidInput:
        return ""
    return str(told.get("l") or "") if isinstance(told, dict) else ""


def remember(context: WebContext, visit: Visit, answered: list[str], anonymous_id: str) -> str:
    """The token that a browser keeps: which traits it answered, never what."""
    known = list(dict.fromkeys([*sorted(visit.answered), *answered]))[-_MOST_REMEMBERED:]
    return context.tokens.sign("visitor", {"a": anonymous_id, "k": known})


class Option(Told):
    """Something to choose."""

    value: str
    label: str


class ShownField(Told):
    """A field to be asked now; ratings and countries have options too.

    Attributes:
        low: What the lowest rating means; `high` the highest.
    """

    trait: str
    label: str
    type: str
    required: bool
    help: str
    options: list[Option]
    low: str | float | None
    high: str | float | None
    max_chars: int


class ShownPurpose(Told):
    """What may be agreed to."""

    purpose: str
    wording: str
    required: bool


class Shown(Told):
    """A form as it is to be shown now; `issued` comes back with what is sent, `texts` are what the script says."""

    name: str
    kind: str
    title: str
    intro: str
    language: str
    button: str
    policy_url: str
    fields: list[ShownField]
    purposes: list[ShownPurpose]
    issued: str
    texts: dict[str, str]


def shown(context: WebContext, visit: Visit) -> Shown:
    """The form, for the script and for tests."""
    form = visit.form
    return Shown(
        name=visit.name,
        kind=form.kind,
        title=form.title,
        intro=form.intro,
        language=form.language,
        button=form.button,
        policy_url=form.policy_url,
        fields=[shown_field(form, field) for field in visit.fields],
        purposes=[
            ShownPurpose(purpose=one.purpose, wording=one.wording, required=one.required) for one in form.purposes
        ],
        issued=issue(context, visit.name, form.language),
        texts=script_texts(form),
    )


_SCRIPT_TEXTS = ("optional", "did_you_mean", "look_below", "leave_empty", "privacy", "not_taken", "not_through")


def script_texts(form: FormDefinition) -> dict[str, str]:
    """What the script says by itself."""
    say = texts_of(form)
    return {name: say.open(name) for name in _SCRIPT_TEXTS}


def shown_field(form: FormDefinition, field: FieldDefinition) -> ShownField:
    """One field; ratings and countries have options too."""
    options = [(one.value, one.label or one.value) for one in field.options]
    if field.type == "rating":
        options = [(str(n), str(n)) for n in RATINGS]
    if field.type == "country":
        options = list(country_names(form.language).items())
    return ShownField(
        trait=field.trait,
        label=field.label,
        type=field.type,
        required=field.required,
        help=field.help,
        options=[Option(value=value, label=label) for value, label in options],
        low=field.low,
        high=field.high,
        max_chars=field.max_chars,
    )


def _linked(context: WebContext, name: str, link: str) -> Reader | None:
    if not link:
        return None
    try:
        found = links_of(context).read_form(link, context.clock.now())
    except (InvalidInput, KeyError):
        return None
    return reader_of(context, found.message_id) if found.form == name else None


def _visitor(context: WebContext, token: str) -> dict[str, Any]:
    try:
        told = context.tokens.verify("visitor", token) if token else {}
    except InvalidInput:
        return {}
    return told if isinstance(told, dict) else {}


def _of_browser(context: WebContext, anonymous_id: str) -> frozenset[str]:
    """What this browser itself told elsewhere: of a profile that is this browser's alone, and nobody's else."""
    if not anonymous_id:
        return frozenset()
    try:
        person = context.engine.find("anonymous_id", anonymous_id)
        facts = None if person is None else context.engine.facts([person]).get(person)
    except MailwrightError:
        return frozenset()
    if facts is None or any(one.kind != "anonymous_id" for one in facts.identifiers):
        return frozenset()
    return known_traits(facts)
