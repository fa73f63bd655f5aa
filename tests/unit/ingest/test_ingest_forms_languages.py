"""What forms say, in which language."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mailwright.ingest.forms.definitions import FormDefinition
from mailwright.ingest.forms.languages import spoken, texts_of
from mailwright.ingest.forms.texts import OUR_TEXTS, Texts, holes, preferred

EMAIL = {"trait": "email", "label": "E-mail", "type": "email", "required": True}
CHOICE = {"trait": "sport", "label": "Sport", "type": "choice", "options": [{"value": "run", "label": "Running"}]}


def _form(**more: Any) -> FormDefinition:
    told = {
        "title": "News",
        "fields": [EMAIL, CHOICE],
        "purposes": [{"purpose": "marketing", "wording": "Yes"}],
        **more,
    }
    return msgspec.convert(told, FormDefinition)


@pytest.mark.parametrize("language", OUR_TEXTS)
def test_every_text_is_there_in_each_language_with_the_same_values(language: str) -> None:
    ours = OUR_TEXTS[language]
    assert list(ours) == list(OUR_TEXTS["en"])
    for name, text in ours.items():
        assert holes(text) == holes(OUR_TEXTS["en"][name]), name
        assert text.strip() == text != ""
        assert language == "en" or text != OUR_TEXTS["en"][name] or name in ("link",)


def test_a_text_says_its_values_and_nothing_else_in_braces() -> None:
    say = Texts("de", {"thanks": "Danke"})
    assert say("dead_domain", domain="{x}.example") == "die Domain {x}.example nimmt keine Mail an"
    assert say("thanks") == "Danke"
    assert Texts("de-AT")("confirm") == "Bestätigen"
    assert Texts("fi", {"confirm": "Vahvista"})("confirm") == "Vahvista"
    assert Texts("fi")("confirm") == "Confirm"
    with pytest.raises(KeyError):
        say("dead_domain")


@pytest.mark.parametrize(
    ("declared", "accepted", "language"),
    [
        (["en", "de"], "de-AT,de;q=0.9,en;q=0.8", "de"), (["en", "de"], "fr", "en"), (["en", "de"], "", "en"),
        (["en", "de"], "fr;q=0.9, DE;q=0.5", "de"), (["en", "de"], "de;q=0, en", "en"), 
        (["en", "de-CH"], "de", "de-CH"),
        (["de", "de-CH"], "de-CH", "de-CH"), (["en", "de"], "de;q=x,*", "en"), (["en", "de"], ";;,=,q", "en"),
        (["de", "en"], "*", "de"), (["en", "de"], "en;q=0.1,de;q=0.2", "de"), (["en", "de"], "de;q=9", "en"),
    ],
)  # fmt: skip
def test_the_declared_language_that_a_browser_likes_best_is_spoken(
    declared: list[str], accepted: str, language: str
) -> None:
    assert preferred(declared, accepted) == language


GERMAN = {
    "title": "Neues",
    "fields": {"sport": {"label": "Sportart", "options": {"run": "Laufen"}}},
    "purposes": {"marketing": "Ja"},
    "texts": {"missing": "fehlt"},
}


def test_a_form_is_told_in_the_language_asked_for_and_what_lacks_stays() -> None:
    form = _form(translations={"de": GERMAN}, texts={"missing": "please answer"}, button="Go")
    german, english = spoken(form, "de"), spoken(form, "fr")
    assert (german.language, german.title, german.button, german.thanks) == ("de", "Neues", "Senden", "Vielen Dank.")
    assert [one.label for one in german.fields] == ["E-mail", "Sportart"]
    assert german.fields[1].options[0].label == "Laufen"
    assert (german.purposes[0].wording, texts_of(german)("missing")) == ("Ja", "fehlt")
    assert (english.title, english.button, english.thanks) == ("News", "Go", "Thank you.")
    assert (english.purposes[0].wording, texts_of(english)("missing")) == ("Yes", "please answer")
    assert spoken(_form(language="de"), "en").button == "Senden"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"texts": {"hello": "x"}}, "no text 'hello'"),
        ({"texts": {"dead_domain": "{host} is dead"}}, r"has \{host\}; its values: \{domain\}"),
        ({"translations": {"de": {"texts": {"thanks": "{x}"}}}}, "its values: none"),
        ({"translations": {"de": {"fields": {"none": {"label": "x"}}}}}, "no field 'none'"),
        ({"translations": {"de": {"fields": {"sport": {"options": {"swim": "x"}}}}}}, "no option 'swim'"),
        ({"translations": {"de": {"purposes": {"none": "x"}}}}, "no purpose 'none'"),
        ({"translations": {"en": {}}}, "in 'en' itself"),
        ({"translations": {"deutsch!": {}}}, "pattern|Invalid|match"),
        ({"translations": {"de": {"policy_url": "x"}}}, "no web address"),
    ],
)
def test_words_for_what_is_not_there_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        _form(**wrong)
