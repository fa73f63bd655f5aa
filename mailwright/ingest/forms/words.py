"""Short lists that checks of form fields go by: mail domains that most people have, offices, shapes of postal codes."""

from __future__ import annotations

import re

FREQUENT_DOMAINS = (
    "gmail.com", "googlemail.com", "yahoo.com", "yahoo.co.uk", "yahoo.de", "yahoo.fr", "hotmail.com", "hotmail.co.uk",
    "hotmail.fr", "hotmail.de", "outlook.com", "outlook.de", "live.com", "msn.com", "icloud.com", "me.com", "aol.com",
    "gmx.de", "gmx.net", "gmx.at", "gmx.ch", "web.de", "t-online.de", "freenet.de", "posteo.de", "mailbox.org",
    "proton.me", "protonmail.com", "orange.fr", "wanadoo.fr", "free.fr", "laposte.net", "libero.it", "virgilio.it",
    "bluewin.ch", "comcast.net", "verizon.net", "btinternet.com", "seznam.cz", "wp.pl", "onet.pl", "ziggo.nl",
)  # fmt: skip
"""Domains that a slip of the finger usually meant."""

ROLES = frozenset(
    {
        "abuse", "accounting", "admin", "administrator", "billing", "bookings", "career", "careers", "contact",
        "finance", "office", "help", "helpdesk", "hello", "hostmaster", "hr", "info", "invoice", "jobs", "kontakt",
        "marketing", "no-reply", "noreply", "orders", "postmaster", "press", "privacy", "root", "sales", "service",
        "security", "support", "team", "vertrieb", "webmaster",
    }
)  # fmt: skip
"""The part before the @ of addresses that an office reads, not a person."""

POSTAL_CODES = {
    country: re.compile(pattern, re.ASCII)
    for country, pattern in {
        "AT": r"[1-9]\d{3}",
        "AU": r"\d{4}",
        "BE": r"[1-9]\d{3}",
        "BR": r"\d{5}-?\d{3}",
        "CA": r"[ABCEGHJ-NPRSTVXY]\d[A-Z] ?\d[A-Z]\d",
        "CH": r"[1-9]\d{3}",
        "CN": r"\d{6}",
        "CZ": r"[1-7]\d{2} ?\d{2}",
        "DE": r"(?!00)\d{5}",
        "DK": r"\d{4}",
        "ES": r"(?:0[1-9]|[1-4]\d|5[0-2])\d{3}",
        "FI": r"\d{5}",
        "FR": r"(?!00)\d{5}",
        "GB": r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}",
        "GR": r"[1-8]\d{2} ?\d{2}",
        "HU": r"[1-9]\d{3}",
        "IE": r"[A-Z]\d[\dW] ?[A-Z\d]{4}",
        "IN": r"[1-9]\d{2} ?\d{3}",
        "IT": r"\d{5}",
        "JP": r"\d{3}-?\d{4}",
        "LU": r"[1-9]\d{3}",
        "MX": r"\d{5}",
        "NL": r"[1-9]\d{3} ?[A-Z]{2}",
        "NO": r"\d{4}",
        "NZ": r"\d{4}",
        "PL": r"\d{2}-?\d{3}",
        "PT": r"[1-9]\d{3}-?\d{3}",
        "RO": r"\d{6}",
        "SE": r"[1-9]\d{2} ?\d{2}",
        "SK": r"[089]\d{2} ?\d{2}",
        "US": r"\d{5}(?:-\d{4})?",
        "ZA": r"\d{4}",
    }.items()
}
"""ISO 3166 code -> the shape of its postal codes, in capitals. Countries that are not here take any."""

ANY_POSTAL_CODE = re.compile(r"[A-Z\d][A-Z\d -]{1,10}", re.ASCII)

POSTAL_EXAMPLES = {
    "AT": "1010", "CA": "K1A 0B1", "CH": "8001", "DE": "10115", "FR": "75001", "GB": "SW1A 1AA", "NL": "1012 AB",
    "PL": "00-001", "SE": "111 20", "US": "10001",
}  # fmt: skip
"""One of each, for the hint."""
