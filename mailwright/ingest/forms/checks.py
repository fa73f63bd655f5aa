"""What an answer must look like, checked the same way as typed and when the form is sent. Clear text stays here."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import phonenumbers
from disposable_email_domains import blocklist
from email_validator import EmailNotValidError, validate_email
from rapidfuzz.distance import DamerauLevenshtein
from rapidfuzz.process import extractOne

from mailwright.ingest.forms.answers import Checked, Means
from mailwright.ingest.forms.definitions import RATINGS, AddressRules, FieldDefinition, FormDefinition
from mailwright.ingest.forms.languages import texts_of
from mailwright.ingest.forms.places import check_city, check_country, check_postal_code
from mailwright.ingest.forms.texts import Texts
from mailwright.ingest.forms.words import FREQUENT_DOMAINS, ROLES

_MOST_CHARS = 4000
_SLIPS = 2  # letters wrong, missing, too many or swapped, in a domain of the frequent ones


def check_field(
    form: FormDefinition, field: FieldDefinition, answer: Any, others: Mapping[str, Any], means: Means
) -> Checked:
    """Check one answer.

    Args:
        form: Its form, in the language to speak.
        field: The question.
        answer: Anything at all: text as a form sends it, a list of texts for ``choices``.
        others: The other answers, for the country of a postal code or phone number, and the postal code of a city.
        means: What to go by.
    """
    say = texts_of(form)
    if field.type == "choices":
        return _choices(say, field, answer)
    text = _text(answer)
    if text is None:
        return Checked(fault=say("no_text"))
    if not text:
        return Checked(fault=_missing(say, field) if field.required else "")
    if len(text) > min(field.max_chars, _MOST_CHARS):
        return Checked(fault=say("too_long", most=field.max_chars))
    match field.type:
        case "email":
            return check_address(text, form.addresses, means, say)
        case "choice":
            return Checked(text) if field.option(text) else Checked(fault=say("one_of"))
        case "postal_code":
            return check_postal_code(say, text, _country(form, others), means.places)
        case "city":
            return check_city(say, text, _country(form, others), _other(form, others, "postal_code"), means.places)
        case "country":
            return check_country(say, text)
        case "phone":
            return _phone(say, text, _country(form, others))
        case "text":
            return Checked(text)
        case _:
            return _SIMPLE[field.type](say, field, text)


def check_all(
    form: FormDefinition, fields: list[FieldDefinition], answers: Mapping[str, Any], means: Means
) -> dict[str, Checked]:
    """Trait -> what came of its answer, for each of `fields`."""
    return {field.trait: check_field(form, field, answers.get(field.trait), answers, means) for field in fields}


def check_address(text: str, rules: AddressRules, means: Means, say: Texts) -> Checked:
    """Check an e-mail address; the value is what was written, its domain in lower case."""
    try:
        found = validate_email(text, check_deliverability=False, test_environment=means.allow_reserved)
    except EmailNotValidError:
        return Checked(fault=say("no_address"), suggestion=suggested(text))
    local, domain = found.local_part, (found.ascii_domain or found.domain).lower()
    meant = suggested(text)
    is_role = local.lower() in ROLES
    fault = _address_fault(local, domain, rules, is_role=is_role)
    if not fault and rules.dns and means.takes_mail(domain) is False:
        return Checked(fault=say("dead_domain", domain=domain), suggestion=meant)
    if fault:
        return Checked(fault=say(fault), suggestion=meant)
    warning = say("office_warning") if is_role and rules.role == "warn" else ""
    return Checked(f"{local}@{found.domain.lower()}", suggestion=meant, warning=warning)


def _address_fault(local: str, domain: str, rules: AddressRules, *, is_role: bool) -> str:
    if not local.isascii():
        return "odd_letters"
    if _among(domain, rules.refuse):
        return "refused_domain"
    if rules.disposable == "refuse" and not _among(domain, rules.allow) and _among(domain, blocklist):
        return "throw_away"
    return "office" if is_role and rules.role == "refuse" else ""


def suggested(address: str) -> str:
    """The address that was probably meant, where the domain is a slip away from a frequent one; else empty."""
    local, at, domain = address.strip().rpartition("@")
    domain = domain.lower().strip(".")
    if not (at and local and domain) or domain in FREQUENT_DOMAINS:
        return ""
    most = 1 if len(domain) < 7 else _SLIPS
    found = extractOne(domain, FREQUENT_DOMAINS, scorer=DamerauLevenshtein.distance, score_cutoff=most)
    return f"{local}@{found[0]}" if found else ""


def _among(domain: str, listed: Any) -> bool:
    """Whether a domain, or one that it lies in, is listed."""
    labels = domain.split(".")
    return any(".".join(labels[start:]) in listed for start in range(len(labels) - 1))


def _text(answer: Any) -> str | None:
    """Trimmed text; None for what is none."""
    if answer is None:
        return ""
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        return None
    if isinstance(answer, float) and not math.isfinite(answer):
        return None
    text = unicodedata.normalize("NFC", str(answer)).strip()
    if any(unicodedata.category(each) in ("Cc", "Cs") and each not in "\n\r\t" for each in text):
        return None
    return text


def _missing(say: Texts, field: FieldDefinition) -> str:
    return say("missing_choice" if field.type in ("choice", "choices", "rating", "country") else "missing")


def _choices(say: Texts, field: FieldDefinition, answer: Any) -> Checked:
    told = answer if isinstance(answer, list) else [] if answer in (None, "") else [answer]
    chosen = [value for value in told if isinstance(value, str) and field.option(value)]
    if len(chosen) != len(told):
        return Checked(fault=say("among"))
    if not chosen:
        return Checked(fault=_missing(say, field) if field.required else "")
    return Checked(list(dict.fromkeys(chosen)))


def _country(form: FormDefinition, others: Mapping[str, Any]) -> str | None:
    named = _other(form, others, "country")
    return named.upper() if named else form.country


def _other(form: FormDefinition, others: Mapping[str, Any], field_type: str) -> str | None:
    """The answer to the form's first question of a type; None if there is none."""
    told = next((others.get(one.trait) for one in form.fields if one.type == field_type), None)
    return told.strip() or None if isinstance(told, str) else None


def _phone(say: Texts, text: str, country: str | None) -> Checked:
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return Checked(fault=say("no_phone" if country else "no_phone_country"))
    if not phonenumbers.is_valid_number(number):
        return Checked(fault=say("impossible_phone"))
    return Checked(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _rating(say: Texts, field: FieldDefinition, text: str) -> Checked:
    del field
    if text.isascii() and text.isdecimal() and len(text) < 3 and int(text) in RATINGS:
        return Checked(int(text))
    return Checked(fault=say("no_rating"))


def _number(say: Texts, field: FieldDefinition, text: str) -> Checked:
    try:
        number = float(text.replace(",", ".")) if len(text) < 40 else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        return Checked(fault=say("no_number"))
    if isinstance(field.low, int | float) and number < field.low:
        return Checked(fault=say("at_least", least=f"{field.low:g}"))
    if isinstance(field.high, int | float) and number > field.high:
        return Checked(fault=say("at_most", most=f"{field.high:g}"))
    return Checked(int(number) if number.is_integer() and abs(number) < 2**53 else number)


def _date(say: Texts, field: FieldDefinition, text: str) -> Checked:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return Checked(fault=say("no_date"))
    told = day.isoformat()
    if field.low is not None and told < str(field.low):
        return Checked(fault=say("not_before", first=field.low))
    if field.high is not None and told > str(field.high):
        return Checked(fault=say("not_after", last=field.high))
    return Checked(told)


_SIMPLE: Mapping[str, Callable[[Texts, FieldDefinition, str], Checked]] = {
    "rating": _rating,
    "number": _number,
    "date": _date,
}
