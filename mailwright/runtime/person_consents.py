"""What may be written to one person: the words on record of all of their e-mail addresses, and the suppression list."""

from __future__ import annotations

from collections.abc import Sequence

from mailwright.core.facts import PersonFacts
from mailwright.core.ports import Consent, ConsentRecords


def consent_rows(records: ConsentRecords, facts: PersonFacts) -> list[Consent]:
    """The consent ledger of all of a person's e-mail addresses, newest first."""
    rows = [row for address_hash in _addresses(facts) for row in reversed(records.ledger(address_hash))]
    return sorted(rows, key=lambda row: -row.at)


def consent_states(rows: Sequence[Consent]) -> list[Consent]:
    """Of a ledger, newest first, the word that counts on each purpose by each address, by purpose."""
    newest: dict[tuple[str, str], Consent] = {}
    for row in rows:
        newest.setdefault((row.purpose, row.address_hash), row)
    return [newest[key] for key in sorted(newest)]


def suppressions(records: ConsentRecords, facts: PersonFacts) -> dict[str, str]:
    """Keyed hash of each of a person's addresses that gets no mail at all -> the reason first given."""
    return records.suppressed(_addresses(facts))


def _addresses(facts: PersonFacts) -> list[str]:
    return [one.value for one in facts.identifiers if one.kind == "email"]
