"""What an answer must look like, checked the same way as typed and when the form is sent. Clear text stays here."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import phonenumbers
from disposable_email_domains import blocklist
from email_validator import EmailNotValidError, validate_email
from rapidfuzz.distance import DamerauLevenshtein
from rapidfuzz.process import extractOne

from mailwright.ingest.forms.definitions import RATINGS, AddressRules, FieldDefinition, FormDefinition
from mailwright.ingest.forms.words import (
    ANY_POSTAL_CODE,
    FREQUENT_DOMAINS,
    POSTAL_CODES,
    POSTAL_EXAMPLES,
    ROLES,
)

TakesMail = Callable[[str], bool | None]
"""A domain in ASCII -> whether it takes mail; None: nobody can tell now."""

_MOST_CHARS = 4000
_UNIONS = frozenset({"EU", "EZ", "UN", "ZZ", "QO"})
_SLIPS = 2  # letters wrong, missing, too many or swapped, in a domain of the frequent ones


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of one answer.

    Attributes:
        value: The answer as the trait gets it; None for none.
        fault: Why it is refused, for whoever typed it; empty if it is not.
        suggestion: What was probably meant.
        warning: What is odd about an answer that is taken.
    """

    value: Any = None
    fault: str = ""
    suggestion: str = ""
    warning: str = ""


def check_field(
    form: FormDefinition,
    field: FieldDefinition,
    answer: Any,
    others: Mapping[str, Any],
    takes_mail: TakesMail,
    *,
    allow_reserved: bool = False,
) -> Checked:
    """Check one answer.

    Args:
        form: Its form.
        field: The question.
        answer: Anything at all: text as a form sends it, a list of texts for ``choices``.
        others: The other answers, for the country of a postal code or phone number.
        takes_mail: Asks DNS.
        allow_reserved: Take addresses at example.com and the like (demo and tests).
    """
    if field.type == "choices":
        return _choices(field, answer)
    text = _text(answer)
    if text is None:
        return Checked(fault="write it as plain text")
    if not text:
        return Checked(fault=_missing(field) if field.required else "")
    if len(text) > min(field.max_chars, _MOST_CHARS):
        return Checked(fault=f"that is too long: {field.max_chars} characters are taken")
    match field.type:
        case "email":
            return check_address(text, form.addresses, takes_mail, allow_reserved=allow_reserved)
        case "choice":
            chosen = field.option(text)
            return Checked(text) if chosen else Checked(fault="choose one of the answers")
        case "postal_code":
            return _postal_code(text, _country(form, others))
        case "phone":
            return _phone(text, _country(form, others))
        case _:
            return _SIMPLE[field.type](field, text)


def check_all(
    form: FormDefinition,
    fields: list[FieldDefinition],
    answers: Mapping[str, Any],
    takes_mail: TakesMail,
    *,
    allow_reserved: bool = False,
) -> dict[str, Checked]:
    """Trait -> what came of its answer, for each of `fields`."""
    return {
        field.trait: check_field(
            form, field, answers.get(field.trait), answers, takes_mail, allow_reserved=allow_reserved
        )
        for field in fields
    }


def check_address(text: str, rules: AddressRules, takes_mail: TakesMail, *, allow_reserved: bool = False) -> Checked:
    """Check an e-mail address; the value is what was written, its domain in lower case."""
    try:
        found = validate_email(text, check_deliverability=False, test_environment=allow_reserved)
    except EmailNotValidError:
        return Checked(fault="this is no e-mail address: write it like name@example.com", suggestion=suggested(text))
    local, domain = found.local_part, (found.ascii_domain or found.domain).lower()
    meant = suggested(text)
    is_role = local.lower() in ROLES
    fault = _address_fault(local, domain, rules, is_role=is_role)
    if not fault and rules.dns and takes_mail(domain) is False:
        fault = f"the domain {domain} takes no mail"
    if fault:
        return Checked(fault=fault, suggestion=meant)
    warning = "this looks like an address of an office" if is_role and rules.role == "warn" else ""
    return Checked(f"{local}@{found.domain.lower()}", suggestion=meant, warning=warning)


def _address_fault(local: str, domain: str, rules: AddressRules, *, is_role: bool) -> str:
    if not local.isascii():
        return "mail cannot be sent to letters such as these before the @"
    if _among(domain, rules.refuse):
        return "addresses of this domain are not taken"
    if rules.disposable == "refuse" and not _among(domain, rules.allow) and _among(domain, blocklist):
        return "this is a throw-away address: use one that you keep"
    return "this address belongs to an office: use your own" if is_role and rules.role == "refuse" else ""


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


def _missing(field: FieldDefinition) -> str:
    return "choose an answer" if field.type in ("choice", "choices", "rating", "country") else "this is needed"


def _choices(field: FieldDefinition, answer: Any) -> Checked:
    told = answer if isinstance(answer, list) else [] if answer in (None, "") else [answer]
    chosen = [value for value in told if isinstance(value, str) and field.option(value)]
    if len(chosen) != len(told):
        return Checked(fault="choose among the answers")
    if not chosen:
        return Checked(fault=_missing(field) if field.required else "")
    return Checked(list(dict.fromkeys(chosen)))


def _country(form: FormDefinition, others: Mapping[str, Any]) -> str | None:
    named = next((others.get(one.trait) for one in form.fields if one.type == "country"), None)
    return named.strip().upper() if isinstance(named, str) and named.strip() else form.country


def _postal_code(text: str, country: str | None) -> Checked:
    code = " ".join(text.upper().split())
    shape = POSTAL_CODES.get(country or "", ANY_POSTAL_CODE)
    if shape.fullmatch(code):
        return Checked(code)
    example = POSTAL_EXAMPLES.get(country or "")
    return Checked(fault="this is no postal code" + (f" of {country}" if country else "") + _like(example))


def _like(example: str | None) -> str:
    return f": write it like {example}" if example else ""


def _phone(text: str, country: str | None) -> Checked:
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        hint = "" if country else ": begin with + and the country's code"
        return Checked(fault=f"this is no phone number{hint}")
    if not phonenumbers.is_valid_number(number):
        return Checked(fault="this is no phone number that can exist")
    return Checked(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _plain(field: FieldDefinition, text: str) -> Checked:
    del field
    return Checked(text)


def _city(field: FieldDefinition, text: str) -> Checked:
    """Names of places have letters, at least two different ones, and no digits or addresses in them."""
    del field
    letters = [each.lower() for each in text if each.isalpha()]
    odd = [each for each in text if not (each.isalpha() or unicodedata.combining(each) or each in " .'’-()/,")]
    if (len(set(letters)) < 2 and text not in ("Å", "Ö", "Y")) or odd:
        return Checked(fault="this is no name of a city")
    return Checked(" ".join(text.split()))


def _rating(field: FieldDefinition, text: str) -> Checked:
    del field
    if text.isascii() and text.isdecimal() and len(text) < 3 and int(text) in RATINGS:
        return Checked(int(text))
    return Checked(fault="choose a number from 0 to 10")


def _number(field: FieldDefinition, text: str) -> Checked:
    try:
        number = float(text.replace(",", ".")) if len(text) < 40 else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        return Checked(fault="this is no number")
    if isinstance(field.low, int | float) and number < field.low:
        return Checked(fault=f"it is at least {field.low:g}")
    if isinstance(field.high, int | float) and number > field.high:
        return Checked(fault=f"it is at most {field.high:g}")
    return Checked(int(number) if number.is_integer() and abs(number) < 2**53 else number)


def _date(field: FieldDefinition, text: str) -> Checked:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return Checked(fault="this is no date: write it like 1990-12-31")
    told = day.isoformat()
    if field.low is not None and told < str(field.low):
        return Checked(fault=f"it is not before {field.low}")
    if field.high is not None and told > str(field.high):
        return Checked(fault=f"it is not after {field.high}")
    return Checked(told)


@cache
def country_names(language: str) -> dict[str, str]:
    """ISO 3166 code -> the country's name in that language (English where it is unknown), by name."""
    from babel import Locale, UnknownLocaleError  # its data takes a moment to load, which most processes need not wait

    try:
        names = Locale.parse(language.replace("-", "_")).territories
    except (UnknownLocaleError, ValueError):
        names = Locale("en").territories
    found = {code: names[code] for code in map(str, names) if len(code) == 2 and code.isalpha()}
    return {code: found[code] for code in sorted(found, key=lambda code: found[code].casefold()) if code not in _UNIONS}


def _country_code(field: FieldDefinition, text: str) -> Checked:
    del field
    code = text.upper()
    return Checked(code) if code in country_names("en") else Checked(fault="choose a country")


_SIMPLE: Mapping[str, Callable[[FieldDefinition, str], Checked]] = {
    "text": _plain,
    "city": _city,
    "rating": _rating,
    "number": _number,
    "date": _date,
    "country": _country_code,
}
