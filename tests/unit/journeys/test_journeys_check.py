import msgspec

from mailwright.decisions.check import Names
from mailwright.journeys.check import check
from mailwright.journeys.definitions import CampaignDefinition, JourneyDefinition

NAMES = Names(templates=["t"], segments=["lapsed"])
EXPERIMENT = {"name": "x", "variants": {"a": {"share": 0.5}, "b": {"share": 0.5}}}


def campaign(**changes: object) -> CampaignDefinition:
    plain = {
        "title": "Weekly",
        "audience": "everyone",
        "schedule": {"every": "day", "at": "09:00"},
        "mail": {"template": "t"},
        "experiment": EXPERIMENT,
    } | changes
    return msgspec.convert(plain, CampaignDefinition)


def journey(**changes: object) -> JourneyDefinition:
    plain = {"title": "Back", "trigger": {"enters": "lapsed"}, "steps": [{"mail": {"template": "t"}}]} | changes
    return msgspec.convert(plain, JourneyDefinition)


def test_a_sound_project_has_no_issue() -> None:
    assert check({"weekly": campaign()}, {"back": journey()}, NAMES) == []


def test_unknown_names_are_told_with_file_and_place() -> None:
    issues = check(
        {"weekly": campaign(mail={"template": "u"}, experiment=None)},
        {"back": journey(trigger={"leaves": "laps"}, steps=[{"mail": {"template": "v"}}])},
        NAMES,
    )
    assert [issue.path for issue in issues] == [
        "campaigns/weekly.yaml: mail.template",
        "journeys/back.yaml: trigger",
        "journeys/back.yaml: steps.mail-1.mail.template",
    ]
    assert issues[1].hint == "did you mean 'lapsed'?"


def test_two_experiments_may_not_share_a_name() -> None:
    steps = [{"mail": {"template": "t"}, "experiment": EXPERIMENT}]
    (issue,) = check({"weekly": campaign()}, {"back": journey(steps=steps)}, NAMES)
    assert issue.path == "journeys/back.yaml"
    assert "'x' is also in campaigns/weekly.yaml" in issue.message
