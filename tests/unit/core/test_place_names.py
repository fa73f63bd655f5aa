"""Names of places: which spellings are one name."""

from __future__ import annotations

import pytest

from mailwright.core.place_names import folded, is_short_for, spellings


@pytest.mark.parametrize(
    ("one", "other"),
    [("Köln", "koeln"), ("Köln", "KOLN"), ("Ko\u0308ln", "Köln"), ("Saint-Étienne", "saint etienne"), ("Łódź", "Lodz"),
     ("Århus", "Aarhus"), ("Gießen", "Giessen"), ("L'Aquila", "l’aquila"), ("Tromsø", "Tromso")],
)  # fmt: skip
def test_case_accents_hyphens_and_umlauts_make_no_other_name(one: str, other: str) -> None:
    assert not spellings(one).isdisjoint(spellings(other))


@pytest.mark.parametrize(("one", "other"), [("Köln", "Kölm"), ("Halle", "Hall"), ("", "")])
def test_other_letters_are_another_name(one: str, other: str) -> None:
    assert spellings(one).isdisjoint(spellings(other))


@pytest.mark.parametrize(
    ("short", "name", "is_one"),
    [("Frankfurt", "Frankfurt am Main", True), ("frankfurt main", "Frankfurt am Main", True),
     ("Main", "Frankfurt am Main", False),
     ("New York", "New York City", True), ("City", "Kansas City", False), ("Sankt Gallen", "St. Gallen", True),
     ("Gallen", "Galten", False), ("", "", False), ("x", "", False), ("", "x", False)],
)  # fmt: skip
def test_a_name_may_be_short_of_words_but_not_of_its_longest(short: str, name: str, is_one: bool) -> None:
    assert is_short_for(short, name) is is_one


def test_what_is_folded_is_letters_and_digits() -> None:
    assert folded("Paris 01, (Île)") == "paris01ile"
