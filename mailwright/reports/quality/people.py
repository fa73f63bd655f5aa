"""The hygiene of profiles: who is stale, who cannot be reached, who lacks what, and who is probably one person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import msgspec
from rapidfuzz import fuzz

from mailwright.core.events import Person
from mailwright.core.findings import Finding
from mailwright.core.instants import Instant

COMPARED = ("email", "phone", "firstName", "lastName", "name", "birthday", "postal_code", "street", "address")
"""Traits by which probable duplicates are found."""

LARGEST_BLOCK = 60
"""People who share a trait that so many share are compared no further: it is an office or a placeholder."""

SURE_WEIGHT = 5
"""Fields of so much weight together decide; on less the score stays below `UNSURE`."""

UNSURE = 80.0
_LEAST_LOCAL = 5
_PHONE_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """What the audit looks at; clear text, which never leaves the process.

    Attributes:
        identifiers: All of them, as ``kind:value``.
        traits: Text of the traits that are compared.
        account: Whether the person has a user id.
        reachable: An address that is not suppressed.
        known: Names of all traits that they have.
    """

    person: Person
    first_identifier: str
    identifiers: frozenset[str] = frozenset()
    last_seen_at: Instant
    traits: Mapping[str, str]
    account: bool
    reachable: bool
    known: frozenset[str]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two people who are probably one.

    Attributes:
        one: The lower number.
        other: The higher number.
        score: 0 to 100.
        alike: Fields that agree well.
        accounts: Both have a user id: nobody but a person may merge them.
    """

    one: Person
    other: Person
    score: float
    alike: tuple[str, ...]
    accounts: bool


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit saw and did. It holds numbers of people and no personal values.

    Attributes:
        at: When.
        n_people: Living people.
        n_stale: Not seen for as long as the policy says.
        n_unreachable: Without an address to which mail may go.
        lacking: Expected trait -> people without it.
        pairs: Probable duplicates, best first.
        n_pairs: How many there are; `pairs` holds the best of them.
        merged: Pairs that were merged.
        filled: Trait -> people who were given a value.
        archived: People who came on the list ``archived``; `returned` those who left it.
    """

    at: Instant
    n_people: int
    n_stale: int
    n_unreachable: int
    lacking: dict[str, int]
    pairs: list[Pair]
    n_pairs: int
    merged: int = 0
    filled: dict[str, int] = {}
    archived: int = 0
    returned: int = 0


WORSE = 0.05
"""A share of profiles that grew by this much since the audit before is worth a look."""


def hygiene(now: AuditReport, before: AuditReport | None) -> list[Finding]:
    """What the monitor of profiles says: more of them are stale, out of reach, or lack something than before.

    The first audit has nothing to compare with and finds nothing: an old shop has old profiles.
    """
    if before is None or not before.n_people or not now.n_people:
        return []
    figures = {
        "stale": (now.n_stale, before.n_stale, "win them back by a journey, or archive them: see audit.archive_after"),
        "unreachable": (now.n_unreachable, before.n_unreachable, "look at bounces, and whether forms ask the address"),
        **{
            f"without {name}": (n, before.lacking.get(name, n), f"ask for {name} in a form, or declare audit.fill")
            for name, n in now.lacking.items()
        },
    }
    return [
        Finding(
            monitor="profiles",
            subject=what,
            severity="warning",
            message=f"{n / now.n_people:.0%} of profiles are {what}, {old / before.n_people:.0%} at the audit before",
            example=f"{n:,} of {now.n_people:,} people",
            suggestion=suggestion,
            figures={"now": n, "before": old},
        )
        for what, (n, old, suggestion) in figures.items()
        if round(n / now.n_people - old / before.n_people, 6) >= WORSE
    ]


def pairs(people: Sequence[PersonRow], above: float) -> list[Pair]:
    """Pairs whose score is at least `above`, best first.

    Only people who share a block are compared: the first part of an address without dots and tag, the end of a
    phone number, the whole name, or the last name and postal code.
    """
    found: dict[tuple[Person, Person], Pair] = {}
    for block in _blocks(people):
        for one, other in combinations(sorted(block, key=lambda row: row.person), 2):
            key = (one.person, other.person)
            if key not in found and (pair := score(one, other)).score >= above:
                found[key] = pair
    return sorted(found.values(), key=lambda pair: (-pair.score, pair.one, pair.other))


def score(one: PersonRow, other: PersonRow) -> Pair:
    """How alike two people are: the weighted mean of the likeness of each field that both have.

    Names are compared by `rapidfuzz.fuzz.token_sort_ratio` and streets by `WRatio`; what should be equal (phone,
    postal code, birthday) counts whole or not at all, so a contradiction weighs. Few fields give no sure score.
    """
    total = weight = 0.0
    alike: list[str] = []
    for field, (mine, theirs, worth) in _fields(one.traits, other.traits).items():
        like = _likeness(field, mine, theirs)
        total += worth * like
        weight += worth
        if like >= 90:
            alike.append(field)
    mean = total / weight if weight else 0.0
    return Pair(
        one=one.person,
        other=other.person,
        score=round(mean if weight >= SURE_WEIGHT else min(mean, UNSURE), 1),
        alike=tuple(alike),
        accounts=one.account and other.account,
    )


_WORTH = {"name": 3, "address": 3, "phone": 3, "birthday": 2, "postal code": 1, "street": 1}


def _fields(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, tuple[str, str, int]]:
    mine, theirs = _comparable(one), _comparable(other)
    return {
        field: (mine[field], theirs[field], worth)
        for field, worth in _WORTH.items()
        if field in mine and field in theirs
    }


def _comparable(traits: Mapping[str, str]) -> dict[str, str]:
    parts = {
        "name": full_name(traits),
        "address": local_part(traits.get("email", "")),
        "phone": _digits(traits.get("phone", "")),
        "birthday": traits.get("birthday", ""),
        "postal code": traits.get("postal_code", "").replace(" ", "").casefold(),
        "street": traits.get("street", "").casefold(),
    }
    return {name: text for name, text in parts.items() if text}


def _likeness(field: str, mine: str, theirs: str) -> float:
    match field:
        case "name":
            return float(fuzz.token_sort_ratio(mine, theirs))
        case "street":
            return float(fuzz.WRatio(mine, theirs))
        case "address":
            return float(fuzz.ratio(mine, theirs))
        case _:
            return 100.0 if mine == theirs else 0.0


def full_name(traits: Mapping[str, str]) -> str:
    """First and last name, or the whole, case folded."""
    parts = (traits.get("firstName", ""), traits.get("lastName", ""))
    return " ".join(" ".join(part for part in parts if part).split()).casefold() or traits.get("name", "").casefold()


def local_part(email: str) -> str:
    """What stands before the ``@``, without dots and tag: for comparing only, since its owner may tell them apart."""
    return email.partition("@")[0].partition("+")[0].replace(".", "").casefold()


def _digits(phone: str) -> str:
    digits = "".join(each for each in phone if each.isdecimal())
    return digits[-_PHONE_DIGITS:] if len(digits) >= _PHONE_DIGITS else ""


def _blocks(people: Iterable[PersonRow]) -> Iterator[list[PersonRow]]:
    blocks: dict[tuple[str, ...], list[PersonRow]] = {}
    for row in people:
        for key in _keys(row.traits):
            blocks.setdefault(key, []).append(row)
    yield from (block for block in blocks.values() if 1 < len(block) <= LARGEST_BLOCK)


def _keys(traits: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    told = _comparable(traits)
    if len(told.get("address", "")) >= _LEAST_LOCAL:
        yield "address", told["address"]
    if "phone" in told:
        yield "phone", told["phone"]
    if " " in told.get("name", ""):
        yield "name", " ".join(sorted(told["name"].split()))
    if "name" in told and "postal code" in told:
        yield "last name", told["name"].split()[-1], told["postal code"]
