"""What a project declares about a form: ``forms/NAME.yaml``."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from mailwright.core.durations import duration_micros
from mailwright.core.errors import InvalidInput
from mailwright.ingest.forms.texts import check_texts

FieldType = Literal[
    "email", "text", "choice", "choices", "rating", "date", "number", "phone", "country", "postal_code", "city"
]
TAGS = "preferences"
"""The list trait that holds people's preference tags."""

RATINGS = range(11)

_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
_Language = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
_Country = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$")]


class OptionDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One answer that can be chosen.

    Attributes:
        value: What the trait becomes; unique within the field.
        label: What the page shows; without one, the value.
        set: Further traits that this answer sets: ``{interest: running}``.
        tag: A preference tag that it adds to the list trait ``preferences``. Tags of the field's other options, where
            one alone can be chosen, are taken off.
    """

    value: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    label: str = ""
    set: dict[str, Any] = {}
    tag: str = ""


class FieldDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One question.

    Attributes:
        trait: The trait that the answer becomes; its name in answers and links too.
        label: The question, shown beside the field.
        type: What an answer looks like. ``rating`` is 0 to 10; ``choices`` takes several options.
        required: Whether the form is refused without it.
        worth: How much knowing it is worth: of the fields whose answer is not known, those worth most are asked.
        options: Of ``choice`` and ``choices``.
        help: A line under the label.
        low: Least number, or earliest date (``1900-01-01``).
        high: Largest number, or latest date.
        max_chars: Longest text that is taken.
    """

    trait: _Name
    label: _Text
    type: FieldType = "text"
    required: bool = False
    worth: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 1.0
    options: tuple[OptionDefinition, ...] = ()
    help: str = ""
    low: str | float | None = None
    high: str | float | None = None
    max_chars: Annotated[int, msgspec.Meta(ge=1, le=4000)] = 200

    def __post_init__(self) -> None:
        if (self.type in ("choice", "choices")) != bool(self.options):
            raise ValueError(f"field {self.trait!r}: only choice and choices have options, and they need them")
        values = [one.value for one in self.options]
        if len(set(values)) != len(values):
            raise ValueError(f"field {self.trait!r} has an option twice")
        if self.trait == TAGS:
            raise ValueError(f"{TAGS!r} is the list of tags: give options a `tag` instead")

    def option(self, value: str) -> OptionDefinition | None:
        """The option of that value."""
        return next((one for one in self.options if one.value == value), None)


class PurposeDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Something that people can agree to. Its box is never ticked for them.

    Attributes:
        purpose: As campaigns and journeys name it: ``marketing``.
        wording: The exact text beside the box, kept with every consent.
        required: Whether the form is refused without it; leave it off for consent to mail, which must be free.
    """

    purpose: _Text
    wording: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    required: bool = False


class DoubleOptInDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Nothing is granted, and the address counts as nobody's, until the link of a confirmation mail is used.

    Attributes:
        template: Template of the confirmation mail; it gets ``confirm_url``, ``form_title``, ``form_language`` and
            ``purposes``, as they were read in the form. A translation may name another.
        expires: How long the link works.
        mails_a_day: Confirmation mails that one address gets at most within 24 hours, whoever asks for them.
    """

    template: Annotated[str, msgspec.Meta(min_length=1)] = "confirm"
    expires: str = "3 days"
    mails_a_day: Annotated[int, msgspec.Meta(ge=1, le=20)] = 2

    def __post_init__(self) -> None:
        try:
            duration_micros(self.expires)
        except InvalidInput as error:
            raise ValueError(str(error)) from error

    @property
    def expires_micros(self) -> int:
        """How long the link works, in microseconds."""
        return duration_micros(self.expires)


class LimitsDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a form takes.

    Attributes:
        per_address_a_minute: Submissions from one network address.
        per_form_a_minute: Submissions of the whole form, in one door process.
        checks_a_minute: Checks of single fields from one network address.
        least_seconds: Nobody fills a form faster than this; who does is a robot.
    """

    per_address_a_minute: Annotated[int, msgspec.Meta(ge=1)] = 10
    per_form_a_minute: Annotated[int, msgspec.Meta(ge=1)] = 600
    checks_a_minute: Annotated[int, msgspec.Meta(ge=1)] = 120
    least_seconds: Annotated[float, msgspec.Meta(ge=0, le=60)] = 2.0


class AddressRules(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Which e-mail addresses a form takes.

    Attributes:
        disposable: Whether addresses at throw-away services are refused or taken.
        allow: Domains that are never taken for disposable.
        refuse: Further domains that are refused.
        role: What happens to addresses of an office rather than a person (info@, sales@).
        dns: Whether a domain that DNS says takes no mail is refused; where DNS does not answer, it passes.
    """

    disposable: Literal["refuse", "allow"] = "refuse"
    allow: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()
    role: Literal["allow", "warn", "refuse"] = "warn"
    dns: bool = True


class FieldWords(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A question in another language; what is left empty stays in the form's own.

    Attributes:
        options: Value -> what the page shows.
    """

    label: str = ""
    help: str = ""
    options: dict[str, str] = {}


class Translation(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A form in another language; what is left empty stays in the form's own.

    Attributes:
        fields: Trait -> its words.
        purposes: Purpose -> its wording, kept with the consents of those who read it.
        texts: As the form's `texts`.
        confirmation: Template of the confirmation mail for those who read this; empty: that of `double_opt_in`.
    """

    title: str = ""
    intro: str = ""
    button: str = ""
    thanks: str = ""
    policy_url: str = ""
    fields: dict[str, FieldWords] = {}
    purposes: dict[str, Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]] = {}
    texts: dict[str, str] = {}
    confirmation: str = ""

    def __post_init__(self) -> None:
        check_texts(self.texts)
        if self.policy_url:
            _check_url(self.policy_url)


class FormDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A form, a survey, or a preference centre.

    Attributes:
        title: The heading.
        kind: ``form`` asks who somebody is; ``survey`` asks people who come by a link of a mail; ``preferences`` is
            the page where they change purposes, tags and answers.
        intro: A paragraph under the heading.
        language: The language of this file, as in HTML's ``lang``. What forms say by themselves is there in ``en`` and
            ``de``; in other languages it is English but for `texts`.
        translations: Language -> the form in that language. A browser gets the one that it likes best.
        texts: Name -> text to say in place of ours (``missing: Please answer.``); a wrong name is refused with all
            names that there are.
        fields: The questions. A ``form`` has a required one of type ``email``.
        at_once: Most fields asked in one visit, the required ones among them; the others wait for the next.
        country: ISO 3166 code by which postal codes and phone numbers are checked where the form asks no country.
        purposes: What people can agree to.
        policy_url: Where the privacy policy stands.
        button: The button's text; empty: *Send*, in the form's language.
        thanks: What is shown afterwards; empty: *Thank you.*
        redirect: A page to go to afterwards, instead of `thanks`; its host must be one of `domains`.
        domains: Hosts of your own pages: where the form may be embedded and lead to. Empty: anywhere, and to nowhere.
        double_opt_in: None: what is ticked counts at once.
        keep_ip: Whether the network address is kept, sealed, in the proof of consent.
        limits: Against floods and robots.
        addresses: Which e-mail addresses are taken.
    """

    title: _Text
    kind: Literal["form", "survey", "preferences"] = "form"
    intro: str = ""
    language: _Language = "en"
    translations: dict[_Language, Translation] = {}
    texts: dict[str, str] = {}
    fields: tuple[FieldDefinition, ...] = ()
    at_once: Annotated[int, msgspec.Meta(ge=1, le=50)] = 4
    country: _Country | None = None
    purposes: tuple[PurposeDefinition, ...] = ()
    policy_url: str = ""
    button: str = ""
    thanks: str = ""
    redirect: str = ""
    domains: tuple[str, ...] = ()
    double_opt_in: DoubleOptInDefinition | None = None
    keep_ip: bool = True
    limits: LimitsDefinition = LimitsDefinition()
    addresses: AddressRules = AddressRules()

    def __post_init__(self) -> None:
        names = [field.trait for field in self.fields]
        if len(set(names)) != len(names):
            raise ValueError("two fields have the same trait")
        if len({one.purpose for one in self.purposes}) != len(self.purposes):
            raise ValueError("two boxes have the same purpose")
        mails = [field for field in self.fields if field.type == "email"]
        if self.kind == "form" and not (len(mails) == 1 and mails[0].required and mails[0].trait == "email"):
            raise ValueError("a form needs one field of type email, required, with `trait: email`")
        if self.kind != "form" and (mails or self.double_opt_in):
            raise ValueError(f"a {self.kind} knows people by the link of a mail: it asks no e-mail address")
        for url in filter(None, (self.policy_url, self.redirect)):
            _check_url(url)
        check_texts(self.texts)
        for language, translation in self.translations.items():
            self._check_translation(language, translation)
        if self.redirect and (urlsplit(self.redirect).hostname or "") not in self.domains:
            raise ValueError(f"`redirect` leads to {self.redirect!r}, whose host is not one of `domains`")

    def _check_translation(self, language: str, translation: Translation) -> None:
        if language.lower() == self.language.lower():
            raise ValueError(f"the form is in {language!r} itself: put its words where they belong")
        for trait, words in translation.fields.items():
            field = self.field(trait)
            if field is None:
                raise ValueError(f"translation {language!r}: there is no field {trait!r}")
            unknown = next((value for value in words.options if field.option(value) is None), None)
            if unknown is not None:
                raise ValueError(f"translation {language!r}: field {trait!r} has no option {unknown!r}")
        for purpose in translation.purposes:
            if purpose not in [one.purpose for one in self.purposes]:
                raise ValueError(f"translation {language!r}: there is no purpose {purpose!r}")

    def field(self, trait: str) -> FieldDefinition | None:
        """The field of a trait."""
        return next((one for one in self.fields if one.trait == trait), None)

    def tags(self) -> list[tuple[str, str]]:
        """(tag, label) of every option that has one, each tag once."""
        found: dict[str, str] = {}
        for field in self.fields:
            for option in field.options:
                if option.tag:
                    found.setdefault(option.tag, option.label or option.value)
        return list(found.items())


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no web address: write https://...")
