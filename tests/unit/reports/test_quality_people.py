"""Probable duplicates: found through blocks, scored on what both have, never sure on little."""

from __future__ import annotations

from typing import Any

import pytest

from mailwright.core.events import Person
from mailwright.core.instants import Instant
from mailwright.reports.quality.people import (
    LARGEST_BLOCK,
    UNSURE,
    AuditReport,
    PersonRow,
    hygiene,
    local_part,
    pairs,
    score,
)


def person(number: int, account: bool = False, **traits: Any) -> PersonRow:
    return PersonRow(
        person=Person(number),
        first_identifier=f"user_id:{number}",
        last_seen_at=Instant(0),
        traits=traits,
        account=account,
        reachable=True,
        known=frozenset(traits),
    )


ANNA = {"firstName": "Anna", "lastName": "Gruber", "email": "anna.gruber@a.example", "postal_code": "1010"}


@pytest.mark.parametrize(
    ("other", "low", "high"),
    [
        (ANNA, 100, 100),
        ({**ANNA, "email": "annagruber+shop@b.example"}, 100, 100),
        ({**ANNA, "firstName": "Gruber", "lastName": "Anna"}, 100, 100),
        ({**ANNA, "firstName": "Ana"}, 93, 99),
        ({**ANNA, "firstName": "Karl", "email": "karl@a.example", "postal_code": "8010"}, 0, 60),
        ({"email": "anna.gruber@b.example"}, 0, UNSURE),
        ({"firstName": "Anna", "lastName": "Gruber"}, 0, UNSURE),
        ({"phone": "+43 1 234 5678"}, 0, 0),
    ],
)
def test_a_score_is_what_both_say(other: dict[str, Any], low: float, high: float) -> None:
    found = score(person(1, **ANNA), person(2, **other))
    assert low <= found.score <= high


def test_a_contradiction_lowers_the_score() -> None:
    born = {**ANNA, "birthday": "1980-01-01", "phone": "0660 1234567"}
    same = score(person(1, **born), person(2, **born)).score
    other = score(person(1, **born), person(2, **{**born, "birthday": "1955-05-05", "phone": "0660 7654321"})).score
    assert same == 100
    assert other < 70


def test_only_pairs_above_the_score_and_the_best_first() -> None:
    people = [
        person(1, True, **ANNA),
        person(2, True, **{**ANNA, "firstName": "Ana"}),
        person(3, **ANNA),
        person(4, firstName="Karl", lastName="Gruber", postal_code="1010", email="karl@a.example"),
    ]
    found = pairs(people, 90)
    assert [(pair.one, pair.other) for pair in found] == [(1, 3), (1, 2), (2, 3)]
    assert [pair.accounts for pair in found] == [False, True, False]
    assert found[0].alike == ("name", "address", "postal code")


def test_a_trait_that_very_many_share_compares_nobody() -> None:
    office = [person(n, phone="+43 1 5555 0000", firstName=f"P{n}", lastName=f"Q{n}") for n in range(LARGEST_BLOCK + 1)]
    assert pairs(office, 0) == []
    assert len(pairs(office[:3], 0)) == 3


@pytest.mark.parametrize(
    ("email", "local"),
    [("Anna.Gruber+x@a.example", "annagruber"), ("", ""), ("anna", "anna"), ("+@x", "")],
)
def test_the_first_part_of_an_address(email: str, local: str) -> None:
    assert local_part(email) == local


def test_people_without_traits_are_nobodys_double() -> None:
    assert pairs([person(1), person(2)], 0) == []
    assert score(person(1), person(2)).score == 0


def report(n: int, stale: int = 0, unreachable: int = 0, **lacking: int) -> AuditReport:
    return AuditReport(
        at=Instant(0), n_people=n, n_stale=stale, n_unreachable=unreachable, lacking=lacking, pairs=[], n_pairs=0
    )


def test_profiles_that_got_worse_are_a_finding_and_old_ones_are_not() -> None:
    before = report(1000, stale=400, unreachable=100, email=50)
    assert hygiene(before, None) == []
    assert hygiene(before, before) == []
    assert hygiene(report(1000, stale=449, unreachable=100, email=50), before) == []
    worse = report(2000, stale=900, unreachable=300, email=260)
    assert [one.subject for one in hygiene(worse, before)] == ["stale", "unreachable", "without email"]
    assert "45% of profiles are stale, 40% at the audit before" in hygiene(worse, before)[0].message
    assert hygiene(report(0), before) == []
