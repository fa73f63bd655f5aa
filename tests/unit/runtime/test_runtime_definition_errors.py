"""Faults in definitions: each is told with file, line, a caret under it, and what to do (definition_errors.txt)."""

from pathlib import Path

import pytest

from mailwright.core.errors import InvalidInput
from mailwright.runtime.project.documents import parse_yaml
from mailwright.runtime.project.load import load_project
from mailwright.runtime.project.templates import check_templates

GOOD = {
    "mailwright.toml": '[project]\nname = "Shop"\ntime_zone = "UTC"\n',
    "attributes.yaml": "orders: {title: Orders, value: count of 'Order Completed'}\n",
    "segments.yaml": "vip:\n  title: VIP\n  rule: orders > 3\n",
    "catalog.yaml": "products:\n  title: Products\n  facts: {title: text, price: number}\n",
    "tracking-plan.yaml": "events:\n  Order Completed:\n    properties: {total: number}\n",
    "content_rules/hero.yaml": "title: Hero\nslot: hero\nrows: []\notherwise: {headline: Hi}\n",
    "campaigns/weekly.yaml": (
        "title: Weekly\n"
        "audience: in segment vip\n"
        "schedule: {every: day, at: 09:00}\n"
        "mail:\n"
        "  template: news\n"
        "  content_rules: [hero]\n"
        "  variables:\n"
        "    first_name: {from: trait firstName, fallback: there}\n"
    ),
    "journeys/back.yaml": "title: Back\ntrigger: {leaves: vip}\nsteps:\n  - mail: {template: plain}\n",
    "models/popular.yaml": "title: Popular\nkind: popularity\n",
    "templates/news.mjml": (
        '---\nsubject: "{{ content.hero.headline }}"\n---\n'
        "<mjml><mj-body><mj-section><mj-column>\n"
        "<mj-text>Hello {{ first_name }}</mj-text>\n"
        "</mj-column></mj-section></mj-body></mjml>\n"
    ),
    "templates/plain.mjml": (
        "---\nsubject: Hello\n---\n"
        "<mjml><mj-body><mj-section><mj-column><mj-text>Hello</mj-text></mj-column></mj-section></mj-body></mjml>\n"
    ),
}


def told(files: dict[str, str]) -> str:
    """What loading and checking these files says, in full."""
    try:
        faults = check_templates(load_project(files), files)
    except InvalidInput as error:
        return str(error)
    return str(InvalidInput("definition.template", faults))


def test_the_good_project_is_good() -> None:
    project = load_project(GOOD)
    assert check_templates(project, GOOD) == []
    assert project.campaigns["weekly"].schedule.at == "09:00"
    assert set(project.rules.conditions) == {"campaign:weekly:audience"}


CASES = {
    "no YAML": ("segments.yaml", "vip: {title: VIP\n"),
    "rule that YAML reads itself": (
        "attributes.yaml",
        "score:\n  title: S\n  value: score {'A': 1} half-life 3 days\n",
    ),
    "a tab": ("segments.yaml", "vip:\n\ttitle: VIP\n"),
    "empty": ("segments.yaml", "# nothing\n"),
    "a list": ("segments.yaml", "- vip\n"),
    "twice": ("segments.yaml", "vip: {title: A, rule: orders > 1}\nvip: {title: B, rule: orders > 2}\n"),
    "an alias": ("segments.yaml", "vip: &one {title: A, rule: orders > 1}\nmore: *one\n"),
    "a key that is no text": ("segments.yaml", "[vip]: {title: A, rule: orders > 1}\n"),
    "too deep": ("segments.yaml", "[" * 5000),
    "a control character": ("segments.yaml", "vip:\n  title: \x07\n"),
    "an unknown key": ("segments.yaml", "vip:\n  titel: VIP\n  rule: orders > 3\n"),
    "a missing key": ("segments.yaml", "vip:\n  title: VIP\n"),
    "a wrong type": ("segments.yaml", "vip:\n  title: VIP\n  rule: 7\n"),
    "a rule that is none": ("segments.yaml", "vip:\n  title: VIP\n  rule: orders >\n"),
    "an unknown attribute": ("segments.yaml", "vip:\n  title: VIP\n  rule: ordrs > 3\n"),
    "in a block": ("segments.yaml", "vip:\n  title: VIP\n  rule: >\n    orders > 3\n    and ordrs < 9\n"),
    "an unknown segment": ("campaigns/weekly.yaml", ("in segment vip", "in segment vap")),
    "an unknown template": ("campaigns/weekly.yaml", ("template: news", "template: nevs")),
    "an unknown content rule": ("campaigns/weekly.yaml", ("[hero]", "[heros]")),
    "an unknown model": (
        "campaigns/weekly.yaml",
        ("  variables", "  recommend: {sources: [populr], n: 3}\n  variables"),
    ),
    "an unknown attribute of a variable": ("campaigns/weekly.yaml", ("trait firstName", "attribute ordrs")),
    "an unknown trigger": ("journeys/back.yaml", ("leaves: vip", "leaves: vips")),
    "a time": ("campaigns/weekly.yaml", ("at: 09:00", "at: 9")),
    "a weekday": ("campaigns/weekly.yaml", ("every: day", "every: week, on: tusday")),
    "a circle": ("segments.yaml", "vip: {title: A, rule: in segment big}\nbig: {title: B, rule: not in segment vip}\n"),
    "a variant that does not fit": (
        "campaigns/weekly.yaml",
        (
            "mail:",
            "experiment:\n  name: e\n  variants:\n    a: {share: 0.5}\n    b: {share: 0.5, mail: {recomend: 1}}\nmail:",
        ),
    ),
    "a variant of an unknown template": (
        "campaigns/weekly.yaml",
        (
            "mail:",
            "experiment:\n  name: e\n  variants:\n"
            "    a: {share: 0.5}\n    b: {share: 0.5, mail: {template: nevs}}\nmail:",
        ),
    ),
    "shares": (
        "campaigns/weekly.yaml",
        ("mail:", "experiment:\n  name: e\n  variants:\n    a: {share: 0.5}\n    b: {share: 0.4}\nmail:"),
    ),
    "a baseline's name": (
        "models/popularity.yaml",
        "title: P\nkind: ease\ngate: {metric: ndcg@10, beats: [popularity]}\n",
    ),
    "a required fact": ("catalog.yaml", GOOD["catalog.yaml"] + "  required: [prise]\n"),
    "a required property": ("tracking-plan.yaml", GOOD["tracking-plan.yaml"] + "    required: [totl]\n"),
    "front matter": ("templates/news.mjml", ("subject:", "subjekt:")),
    "markup": ("templates/news.mjml", ("<mj-text>", "<mj-txt>")),
    "Liquid": ("templates/news.mjml", ("{{ first_name }}", "{% if first_name %}")),
    "a variable that nobody has": ("templates/news.mjml", ("{{ first_name }}", "{{ frist_name }}")),
    "a slot's field that nobody has": ("templates/news.mjml", ("hero.headline", "hero.hedline")),
    "a subject's variable": ("journeys/back.yaml", ("{template: plain}", '{template: plain, subject: "Hi {{ nam }}"}')),
}


WANTED = dict(
    part.split("\n", 1)
    for part in (Path(__file__).parent / "definition_errors.txt").read_text().rstrip("\n").split("\n\n## ")[1:]
)


def files_of(name: str) -> dict[str, str]:
    path, change = CASES[name]
    text = change if isinstance(change, str) else GOOD[path].replace(*change)
    assert text != GOOD.get(path)
    return {**GOOD, path: text}


def test_every_fault_has_its_message() -> None:
    assert list(WANTED) == list(CASES)


@pytest.mark.parametrize("name", CASES)
def test_fault(name: str) -> None:
    assert told(files_of(name)) == WANTED[name]


def test_a_number_without_end_is_no_crash() -> None:
    assert "a number of too many digits" in told({**GOOD, "segments.yaml": "vip: {title: A, rule: " + "9" * 5000 + "}"})


def test_two_experiments_of_one_name() -> None:
    experiment = "experiment:\n  name: e\n  variants: {a: {share: 0.5}, b: {share: 0.5}}\n"
    files = {**GOOD, "campaigns/weekly.yaml": GOOD["campaigns/weekly.yaml"] + experiment}
    files["campaigns/daily.yaml"] = files["campaigns/weekly.yaml"]
    assert told(files) == (
        "campaigns/weekly.yaml:10:9: the experiment 'e' is in campaigns/daily.yaml already: assignment and report go "
        "by its name\n"
        "      name: e\n"
        "            ^\n"
        "    hint: give it another name"
    )


def test_all_faults_are_told_at_once() -> None:
    files = {**files_of("a wrong type"), "models/popular.yaml": "title: P\nkind: popularty\n"}
    found = told(files)
    assert "segments.yaml:3:9" in found
    assert "models/popular.yaml:2:7" in found
    assert "did you mean 'popularity'?" in found


def test_variants_may_bring_what_the_mail_lacks() -> None:
    """Only what people really get is checked for its variables: with an experiment, the variants."""
    mail = GOOD["campaigns/weekly.yaml"].replace(
        "  variables:\n    first_name: {from: trait firstName, fallback: there}\n", ""
    )
    variables = "mail: {variables: {first_name: {from: trait firstName, fallback: you}}}"
    both = (
        f"experiment:\n  name: e\n  variants:\n    a: {{share: 0.5, {variables}}}\n    b: {{share: 0.5, {variables}}}\n"
    )
    files = {**GOOD, "campaigns/weekly.yaml": mail + both}
    assert check_templates(load_project(files), files) == []
    one = both.replace(f"b: {{share: 0.5, {variables}}}", "b: {share: 0.5}")
    assert "nobody provides the variable 'first_name' in the mail of campaigns/weekly.yaml:11" in told(
        {**files, "campaigns/weekly.yaml": mail + one}
    )


def test_numbers_are_decimal_and_words_stay_words() -> None:
    document = parse_yaml(
        "x.yaml", "a: 007\nb: 1e3\nc: 10:30\nd: on\ne: 2026-01-02\n404: null\ng: -1.5\nh: ~\ni: true\n"
    )
    assert document.data == {
        "a": 7,
        "b": 1000.0,
        "c": "10:30",
        "d": "on",
        "e": "2026-01-02",
        "404": None,
        "g": -1.5,
        "h": None,
        "i": True,
    }
