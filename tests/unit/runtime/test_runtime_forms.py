"""Faults in forms, and in templates that link to them: told with file, line and what to do."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mailwright.core.errors import InvalidInput
from mailwright.runtime.installation import Installation, open_installation
from mailwright.runtime.material import plans
from mailwright.runtime.project import starter
from mailwright.runtime.project.load import load_project
from mailwright.runtime.project.templates import check_templates
from mailwright.runtime.project.versions import plan
from mailwright.runtime.settings import load_settings

HEAD = "---\nsubject: Hello\n---\n<mjml><mj-body><mj-section><mj-column><mj-text>"
FOOT = "</mj-text></mj-column></mj-section></mj-body></mjml>\n"
FORM = """\
title: Club
fields:
  - {trait: email, label: E-mail, type: email, required: true}
double_opt_in: {template: confirm}
"""
SURVEY = """\
title: Survey
kind: survey
fields:
  - {trait: score, label: Score, type: rating}
  - {trait: sport, label: Sport, type: choice, options: [{value: run}, {value: swim}]}
"""
GOOD = {
    "forms/club.yaml": FORM,
    "forms/nps.yaml": SURVEY,
    "forms/centre.yaml": "title: Centre\nkind: preferences\n",
    "templates/confirm.mjml": HEAD + '<a href="{{ confirm_url }}">{{ form_title }} {{ purposes | join }}</a>' + FOOT,
    "templates/news.mjml": HEAD
    + """<a href="{{ 'nps' | answer_url: 'score', 9 }}">9</a> <a href="{{ "nps" | answer_url: "sport", 'run' }}">run</a>
{% for n in (0..10) %}<a href="{{ 'nps' | answer_url: 'score', n }}">{{ n }}</a>{% endfor %}
<a href="{{ 'club' | form_url }}">x</a> <a href="{{ 'centre' | preferences_url }}">y</a>"""
    + FOOT,
}


TAGGED = SURVEY.replace("{value: run}", "{value: run, tag: runner}")


@pytest.mark.parametrize("policy", ["personal", "sensitive", "secret"])
def test_the_list_of_tags_cannot_be_sealed_where_forms_add_to_it(policy: str) -> None:
    profile = "traits:\n  preferences: {type: list, policy: POLICY}\n"
    told = _told({**GOOD, "forms/nps.yaml": TAGGED, "profile.yaml": profile.replace("POLICY", policy)})
    assert "profile.yaml:2:" in told
    assert "forms cannot add tags to a list that is sealed" in told
    assert _told({**GOOD, "profile.yaml": profile.replace("POLICY", policy)}) == ""
    assert _told({**GOOD, "forms/nps.yaml": TAGGED, "profile.yaml": profile.replace("POLICY", "none")}) == ""


def test_the_settings_cannot_seal_the_list_of_tags_either(tmp_path: Path) -> None:
    starter.write(tmp_path / "shop")
    (tmp_path / "shop" / "forms").mkdir(exist_ok=True)
    with closing(_opened(tmp_path / "shop", "x")) as there:
        before = plan(there).files
    for name in ("preferences", "iban"):
        (tmp_path / "shop" / "forms" / "nps.yaml").write_text(TAGGED)
        with closing(_opened(tmp_path / "shop", name)) as there:
            if name == "iban":
                assert plan(there).files.keys() - before.keys() == {"forms/nps.yaml"}
                continue
            with pytest.raises(InvalidInput, match=r"privacy\.personal: forms cannot add tags"):
                plan(there)


def _opened(folder: Path, personal: str) -> Installation:
    return open_installation(load_settings(folder, {"MAILWRIGHT__PRIVACY__PERSONAL": personal}))


def _told(files: dict[str, str]) -> str:
    try:
        project = load_project(files)
    except InvalidInput as error:
        return "\n".join(map(str, error.issues))
    return "\n".join(map(str, check_templates(project, files)))


TRANSLATED = FORM + "translations: {de: {title: Verein, confirmation: bitte}, fr: {}, 'pt-BR': {title: Clube}}\n"


def test_each_language_of_a_form_has_its_confirmation_mail() -> None:
    files = {**GOOD, "forms/club.yaml": TRANSLATED, "templates/bitte.mjml": GOOD["templates/confirm.mjml"]}
    assert _told(files) == ""
    project = load_project(files)
    told = {step: (plan.mail.template, plan.title, plan.language) for (_, step), plan in plans(project).items()}
    assert told == {
        "confirm": ("confirm", "Club", "en"),
        "confirm.de": ("bitte", "Verein", "de"),
        "confirm.fr": ("confirm", "Club", "fr"),
        "confirm.pt-BR": ("confirm", "Clube", "pt-BR"),
    }
    assert "there is no template 'bitte'" in _told({**GOOD, "forms/club.yaml": TRANSLATED})
    assert "nobody could confirm" in _told({**files, "templates/bitte.mjml": HEAD + "Hallo" + FOOT})


def test_a_good_project_has_no_fault_and_a_plan_for_its_confirmation() -> None:
    assert _told(GOOD) == ""
    plan = plans(load_project(GOOD))["form:club", "confirm"]
    assert (plan.mail.template, plan.title) == ("confirm", "Club")


@pytest.mark.parametrize(
    ("path", "old", "new", "place", "says"),
    [
        (
            "forms/club.yaml",
            "template: confirm",
            "template: confrim",
            "forms/club.yaml:4:27",
            "did you mean 'confirm'?",
        ),
        ("forms/club.yaml", "required: true", "required: false", "forms/club.yaml", "type email"),
        ("forms/club.yaml", "title: Club", "titel: Club", "forms/club.yaml:1:1", "did you mean 'title'?"),
        ("forms/nps.yaml", "type: rating", "type: stars", "forms/nps.yaml:4:40", "stars"),
        (
            "templates/news.mjml",
            "'nps' | answer_url: 'score', 9",
            "'npx' | answer_url: 'score', 9",
            "news.mjml:4:",
            "'nps'?",
        ),
        ("templates/news.mjml", "'score', 9", "'scor', 9", "templates/news.mjml:4", "did you mean 'score'?"),
        ("templates/news.mjml", "'score', 9", "'score', 11", "templates/news.mjml:4", "'11' is no answer"),
        ("templates/news.mjml", "'run' }}", "'ran' }}", "templates/news.mjml:4", "did you mean 'run'?"),
        ("templates/news.mjml", "'centre' | preferences_url", "'centre' | form_url", ":6", "use preferences_url"),
        ("templates/news.mjml", "'club' | form_url", "'club' | preferences_url", ":6", "use form_url"),
        (
            "templates/confirm.mjml",
            "{{ confirm_url }}",
            "https://x.example",
            "forms/club.yaml:4",
            "nobody could confirm",
        ),
        ("templates/confirm.mjml", "{{ form_title }}", "{{ first_name }}", "templates/confirm.mjml:4", "first_name"),
    ],
)
def test_a_fault_is_told_where_it_stands(path: str, old: str, new: str, place: str, says: str) -> None:
    assert old in GOOD[path]
    found = _told({**GOOD, path: GOOD[path].replace(old, new, 1)})
    assert place in found
    assert says in found


def test_a_name_that_no_address_can_have_is_refused() -> None:
    assert "cannot be part of an address" in _told({**GOOD, "forms/our club.yaml": FORM})
