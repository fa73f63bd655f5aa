"""Forms: what may be declared, which fields are asked, what answers tell."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mailwright.ingest.forms.asking import asked_fields
from mailwright.ingest.forms.definitions import FormDefinition
from mailwright.ingest.forms.submission import tags_of, ticked, told_by, unverified

EMAIL = {"trait": "email", "label": "E-mail", "type": "email", "required": True}


def _form(*fields: dict[str, Any], **more: Any) -> FormDefinition:
    return msgspec.convert({"title": "T", "fields": [EMAIL, *fields], **more}, FormDefinition)


WORTH = [{"trait": name, "label": name, "worth": worth} for name, worth in [("a", 1), ("b", 3), ("c", 2), ("d", 3)]]


@pytest.mark.parametrize(
    ("at_once", "known", "by_link", "asked"),
    [
        (3, [], False, ["email", "b", "d"]),
        (4, [], False, ["email", "b", "c", "d"]),
        (3, ["b"], False, ["email", "c", "d"]),
        (3, ["b", "email"], False, ["email", "c", "d"]),
        (3, ["b"], True, ["a", "c", "d"]),
        (1, [], False, ["email"]),
        (3, ["a", "b", "c", "d"], False, ["email"]),
        (3, ["a", "b", "c", "d"], True, []),
    ],
)
def test_what_is_missing_and_worth_most_is_asked(
    at_once: int, known: list[str], by_link: bool, asked: list[str]
) -> None:
    form = _form(*WORTH, at_once=at_once)
    assert [one.trait for one in asked_fields(form, known, by_link=by_link)] == asked


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"fields": []}, "type email"),
        ({"fields": [{**EMAIL, "required": False}]}, "type email"),
        ({"fields": [EMAIL, EMAIL]}, "same trait"),
        ({"fields": [EMAIL, {"trait": "a", "label": "A", "type": "choice"}]}, "options"),
        ({"fields": [EMAIL, {"trait": "a", "label": "A", "options": [{"value": "x"}]}]}, "options"),
        ({"fields": [EMAIL, {"trait": "preferences", "label": "A"}]}, "list of tags"),
        ({"kind": "survey"}, "knows people by the link"),
        ({"kind": "survey", "fields": [], "double_opt_in": {}}, "knows people by the link"),
        ({"redirect": "https://other.example/x"}, "not one of `domains`"),
        ({"redirect": "javascript:alert(1)", "domains": ["x"]}, "no web address"),
        ({"policy_url": "privacy"}, "no web address"),
        ({"double_opt_in": {"expires": "soon"}}, "soon"),
        ({"double_opt_in": {"expires": "0 days"}}, "no time at all"),
        ({"purposes": [{"purpose": "a", "wording": "b"}, {"purpose": "a", "wording": "c"}]}, "same purpose"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.convert({"title": "T", "fields": [EMAIL], **wrong}, FormDefinition)


OPTIONS = [{"value": "run", "set": {"interest": "running"}, "tag": "trail"}, {"value": "swim", "tag": "water"}]


def test_answers_set_traits_and_tags() -> None:
    form = _form({"trait": "sport", "label": "S", "type": "choice", "options": OPTIONS}, *WORTH)
    told = told_by(list(form.fields), {"email": "x", "sport": "run", "a": "", "b": 0})
    assert told.traits == {"email": "x", "sport": "run", "interest": "running", "b": 0}
    assert (told.added, told.removed) == (["trail"], ["water"])


@pytest.mark.parametrize(("value", "tags"), [(None, []), (["a", "b"], ["a", "b"]), ("x", []), ([1, None, "x"], ["x"])])
def test_tags_are_the_texts_of_a_list(value: Any, tags: list[str]) -> None:
    assert tags_of(value) == tags


def test_only_boxes_of_the_form_can_be_ticked() -> None:
    form = _form(purposes=[{"purpose": "marketing", "wording": "Yes"}])
    assert [one.purpose for one in ticked(form, ["marketing", "everything"])] == ["marketing"]
    assert ticked(form, []) == []


def test_contacts_that_nobody_confirmed_have_a_name_that_says_so() -> None:
    assert unverified({"email": 1, "phone": 2, "city": 3}) == {"unverified_email": 1, "unverified_phone": 2, "city": 3}
