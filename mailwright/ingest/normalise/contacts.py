"""E-mail addresses and phone numbers in one spelling."""

from __future__ import annotations

import re
from typing import Any

import idna
import phonenumbers
from email_validator import EmailNotValidError, validate_email

from mailwright.ingest.normalise.faults import Unfit, shape

_ANGLED = re.compile(r"^[^<>]*<([^<>]+)>$")
_MOST_CHARS = 320


def email(value: Any) -> str:
    """The address with its domain in lower-case ASCII; the part before the ``@`` stays as written, dots and plus too.

    Raises:
        Unfit: If it is no address.
    """
    if not isinstance(value, str) or len(value) > _MOST_CHARS:
        raise Unfit(f"{shape(value)} is no e-mail address")
    text = value.strip()
    text = text[7:] if text[:7].lower() == "mailto:" else text
    if match := _ANGLED.match(text):
        text = match[1].strip()
    try:
        found = validate_email(text, check_deliverability=False, test_environment=True)
    except (EmailNotValidError, UnicodeError, idna.IDNAError):
        raise Unfit(f"{shape(value)} is no e-mail address") from None
    return f"{found.local_part}@{found.ascii_domain}"


def phone(value: Any, country: str) -> str:
    """E.164: ``+491711234567``; `country` (ISO 3166, or empty) is that of numbers written without one.

    Raises:
        Unfit: If it is no number that could exist, or has an extension, which E.164 cannot say.
    """
    if isinstance(value, bool) or not isinstance(value, str | int) or len(text := str(value).strip()) > _MOST_CHARS:
        raise Unfit(f"{shape(value)} is no phone number")
    if text.startswith("00"):
        text = "+" + text[2:]
    try:
        found = phonenumbers.parse(text, country or None)
    except phonenumbers.NumberParseException:
        why = "" if country or text.startswith("+") else " (it has no country, and none is declared)"
        raise Unfit(f"{shape(value)} is no phone number{why}") from None
    if found.extension:
        raise Unfit("it has an extension")
    if phonenumbers.is_possible_number_with_reason(found) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise Unfit(f"{shape(value)} has too many or too few digits for a phone number")
    return str(phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164))
