from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from mailwright.core.errors import InvalidInput, NotFound
from mailwright.core.events import Identifier, Offset, Person
from mailwright.core.facts import Known, PersonFacts
from mailwright.core.instants import DAY, SECOND, Instant, parse_iso
from mailwright.core.messages import SendRequest
from mailwright.decisions.check import Names, check_mail
from mailwright.decisions.content_rules import ContentRuleDefinition, choose, condition_names
from mailwright.decisions.decide import Decision, Skip, decide
from mailwright.decisions.explain import explain, explain_text
from mailwright.decisions.mail import MailDefinition, merged, parse_source
from mailwright.decisions.matched import Match, facts_used
from mailwright.decisions.recommend import Ranked
from mailwright.decisions.record import Refused, record, rerender_variables
from mailwright.experiments.definitions import ExperimentDefinition
from mailwright.rules import syntax

NOW = parse_iso("2017-12-04T14:00:00Z")
SEALED = {"sealed": "kq3vAAA=", "hash": "5f1c", "domain": "example.com"}


def known(value: Any, days: float = 1, source: str = "demo") -> Known:
    return Known(value=value, at=Instant(NOW - int(days * DAY)), source=source)


def person(**changes: Any) -> PersonFacts:
    given: dict[str, Any] = {
        "person": Person(7),
        "at": NOW,
        "offset": Offset(4096),
        "first_identifier": "user_id:household-7",
        "identifiers": [Identifier("user_id", "household-7")],
        "traits": {"firstName": known(SEALED, 300), "email": known(SEALED, 300), "city": known("")},
        "attributes": {
            "spend": known(120.5, 3, "attribute"),
            "recently_bought": known(["a", "b"], 3, "attribute"),
            "nothing": Known(value=None, at=None, source="attribute"),
        },
        "segments": ["active"],
        "truths": {"content:hero:coffee": True, "content:hero:loyal": True, "content:hero:new": False},
        "first_seen_at": Instant(NOW - 300 * DAY),
        "last_seen_at": NOW,
        "n_events": 12,
    }
    return PersonFacts(**given | changes)


HERO = msgspec.convert(
    {
        "title": "Hero",
        "slot": "hero",
        "rows": [
            {"name": "new", "when": "orders = 0", "use": {"headline": "Welcome"}},
            {"name": "coffee", "when": "favourite = 'COFFEE'", "use": {"headline": "Coffee", "image": "c.png"}},
            {"name": "loyal", "when": "in segment loyal", "use": {"headline": "Thank you"}},
        ],
        "otherwise": {"headline": "This week"},
    },
    ContentRuleDefinition,
)


class Shelf:
    """A recommender over fixed lists: a real implementation of the protocol, small enough to read."""

    def __init__(self, lists: Mapping[str, Sequence[str]], refused: Mapping[str, str] | None = None) -> None:
        self.lists = lists
        self.refused = refused or {}

    def ready(self, source: str) -> str | None:
        return self.refused.get(source)

    def items(self, source: str, facts: PersonFacts, n: int) -> list[Ranked]:
        return [Ranked(item, 1.0 / place, f"because {source}") for place, item in enumerate(self.lists[source], 1)][:n]

    def version(self, source: str) -> str:
        return f"{source} 1"


SHELF = Shelf({"for_you": ["a", "c", "d"], "popular": ["c", "e", "f", "g"]})


def mail(**changes: Any) -> MailDefinition:
    return msgspec.convert({"template": "weekly"} | changes, MailDefinition)


def decided(definition: MailDefinition, facts: PersonFacts | None = None, **more: Any) -> Decision | Skip:
    given = {"experiment": None, "content_rules": {"hero": HERO}, "recommender": SHELF, "now": NOW} | more
    return decide(definition, facts=facts or person(), **given)


# --- content rules ---------------------------------------------------------------------------------------------------


def test_the_first_row_that_holds_wins_and_the_later_ones_are_told() -> None:
    choice = choose("hero", HERO, person().truths)
    assert (choice.row, choice.use["headline"], choice.lost) == ("coffee", "Coffee", ("loyal",))
    assert choice.when == "favourite = 'COFFEE'"


def test_otherwise_when_nothing_holds_or_nothing_was_asked() -> None:
    choice = choose("hero", HERO, {})
    assert (choice.row, choice.use, choice.lost) == ("otherwise", {"headline": "This week"}, ())


def test_rows_are_evaluated_under_their_names() -> None:
    assert list(condition_names("hero", HERO)) == ["content:hero:new", "content:hero:coffee", "content:hero:loyal"]
    assert condition_names("hero", HERO)["content:hero:new"] == "orders = 0"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"name": "a", "when": "x", "use": {}}, {"name": "a", "when": "y", "use": {}}], "two rows"),
        ([{"name": "otherwise", "when": "x", "use": {}}], "otherwise"),
        ([{"name": "a", "when": "", "use": {}}], "when"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(rows: list[Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert({"title": "t", "slot": "s", "rows": rows}, ContentRuleDefinition)


def test_a_slot_gets_what_the_rule_chose() -> None:
    outcome = decided(mail(content_rules=["hero"]))
    assert isinstance(outcome, Decision)
    assert outcome.variables == {"content": {"hero": {"headline": "Coffee", "image": "c.png"}}}


def test_of_two_rules_for_one_slot_the_first_keeps_its_fields() -> None:
    other = msgspec.structs.replace(HERO, rows=[], otherwise={"headline": "Second", "colour": "red"})
    outcome = decided(mail(content_rules=["hero", "other"]), content_rules={"hero": HERO, "other": other})
    assert isinstance(outcome, Decision)
    assert outcome.variables["content"]["hero"] == {"headline": "Coffee", "image": "c.png", "colour": "red"}


def test_an_unknown_content_rule_is_named_with_the_nearest() -> None:
    with pytest.raises(NotFound, match="did you mean 'hero'"):
        decided(mail(content_rules=["heros"]))


# --- variables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "used", "why"),
    [
        ({"from": "trait firstName", "fallback": "friend"}, SEALED, "value", ""),
        ({"from": "trait email.domain", "fallback": "?"}, "example.com", "value", ""),
        ({"from": "trait email.nothing", "fallback": "?"}, "?", "fallback", "trait email.nothing is not known"),
        ({"from": "trait city", "fallback": "your town"}, "your town", "fallback", "trait city is not known"),
        ({"from": "trait city", "on_missing": "blank"}, "", "blank", "trait city is not known"),
        ({"from": "attribute spend", "fallback": 0}, 120.5, "value", ""),
        ({"from": "attribute nothing", "fallback": 0}, 0, "fallback", "attribute nothing is not known"),
        ({"from": "attribute spend", "max_age": "3 days", "fallback": 0}, 120.5, "value", ""),
        ({"from": "segment active", "fallback": False}, True, "value", ""),
        ({"from": "segment vip", "fallback": True}, False, "value", ""),
        ({"from": "content hero.headline", "fallback": "Hello"}, "Coffee", "value", ""),
        (
            {"from": "content hero.nothing", "fallback": "Hello"},
            "Hello",
            "fallback",
            "content hero.nothing is not known",
        ),
    ],
)
def test_a_variable_is_resolved(variable: dict[str, Any], value: Any, used: str, why: str) -> None:
    outcome = decided(mail(content_rules=["hero"], variables={"x": variable}))
    assert isinstance(outcome, Decision)
    (one,) = outcome.ground.resolved
    assert (one.value, one.used, one.why) == (value, used, why)
    assert outcome.variables["x"] == value


@pytest.mark.parametrize(("extra", "used"), [(0, "value"), (1, "fallback")])
def test_a_value_is_too_old_one_microsecond_after_its_maximum_age(extra: int, used: str) -> None:
    facts = person(attributes={"spend": Known(value=1, at=Instant(NOW - 3 * DAY - extra), source="attribute")})
    variable = {"from": "attribute spend", "max_age": "3 days", "fallback": 0}
    assert decided(mail(variables={"x": variable}), facts).ground.resolved[0].used == used


def test_a_required_variable_that_is_missing_stops_the_mail() -> None:
    variables = {
        "name": {"from": "trait nickname", "on_missing": "skip"},
        "spend": {"from": "attribute spend", "max_age": "1 day", "on_missing": "skip"},
    }
    outcome = decided(mail(variables=variables))
    assert isinstance(outcome, Skip)
    assert outcome.reason == "missing_variable"
    assert outcome.detail == (
        "name: trait nickname is not known; spend: attribute spend is 3 days old, more than 1 day"
    )


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ({"from": "firstName", "fallback": "x"}, "no source"),
        ({"from": "trait ", "fallback": "x"}, "no source"),
        ({"from": "content hero", "fallback": "x"}, "slot and a field"),
        ({"from": "trait a"}, "has no fallback"),
        ({"from": "trait a", "fallback": "x", "max_age": "soon"}, "not a duration"),
        ({"from": "trait a", "fallback": "x", "maxage": "1 day"}, "maxage"),
    ],
)
def test_a_contract_that_makes_no_sense_is_refused(variable: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        mail(variables={"x": variable})


def test_names_that_templates_have_already_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="recommendations"):
        mail(variables={"recommendations": {"from": "trait a", "fallback": 1}})


# --- recommendations -------------------------------------------------------------------------------------------------


def shown(outcome: Decision | Skip) -> list[tuple[str, str]]:
    assert outcome.ground.recommendations is not None
    return [(item.item_id, item.source) for item in outcome.ground.recommendations.items]


def rungs(outcome: Decision | Skip) -> list[tuple[str, int, str]]:
    assert outcome.ground.recommendations is not None
    return [(rung.source, rung.n, rung.why) for rung in outcome.ground.recommendations.tried]


LADDER = ["for_you", "popular"]


def test_the_first_source_fills_the_slot_alone_if_it_can() -> None:
    outcome = decided(mail(recommend={"sources": LADDER, "n": 3}))
    assert shown(outcome) == [("a", "for_you"), ("c", "for_you"), ("d", "for_you")]
    assert rungs(outcome) == [("for_you", 3, "")]


def test_what_the_first_cannot_fill_the_next_does_and_nothing_is_shown_twice() -> None:
    outcome = decided(mail(recommend={"sources": LADDER, "n": 5}))
    assert [item for item, _ in shown(outcome)] == ["a", "c", "d", "e", "f"]
    assert rungs(outcome) == [("for_you", 3, "has 3 of 5 wanted items for this person"), ("popular", 2, "")]


def test_a_source_that_may_not_serve_is_passed_over_with_its_reason() -> None:
    shelf = Shelf(SHELF.lists, {"for_you": "its gate refused version 2"})
    outcome = decided(mail(recommend={"sources": LADDER, "n": 2}), recommender=shelf)
    assert shown(outcome) == [("c", "popular"), ("e", "popular")]
    assert rungs(outcome)[0] == ("for_you", 0, "its gate refused version 2")


def test_exclusions_are_filtered_before_the_list_is_cut_and_it_refills() -> None:
    outcome = decided(mail(recommend={"sources": LADDER, "n": 4, "exclude_recent": True}))
    assert [item for item, _ in shown(outcome)] == ["c", "d", "e", "f"]
    assert outcome.ground.recommendations is not None
    assert outcome.ground.recommendations.excluded == ("a", "b")


def test_items_that_the_catalog_does_not_know_are_not_shown() -> None:
    catalog = {"c": {"title": "Coffee", "price": 4.99}, "e": {"title": "Eggs"}}
    outcome = decided(
        mail(recommend={"sources": LADDER, "n": 2}), lookup=lambda ids: {i: catalog[i] for i in ids if i in catalog}
    )
    assert isinstance(outcome, Decision)
    assert outcome.variables["recommendations"] == [
        {"title": "Coffee", "price": 4.99, "item_id": "c", "reason": "because for_you", "source": "for_you"},
        {"title": "Eggs", "item_id": "e", "reason": "because popular", "source": "popular"},
    ]


def test_the_fixed_list_is_the_last_rung() -> None:
    empty = Shelf({"for_you": [], "popular": []})
    outcome = decided(mail(recommend={"sources": LADDER, "n": 2, "fallback": ["z", "y", "x"]}), recommender=empty)
    assert shown(outcome) == [("z", "fallback"), ("y", "fallback")]


def test_no_item_at_all_sends_or_skips_as_the_mail_says() -> None:
    empty = Shelf({"for_you": [], "popular": []})
    sent = decided(mail(recommend={"sources": LADDER}), recommender=empty)
    assert isinstance(sent, Decision)
    assert sent.variables["recommendations"] == []
    skipped = decided(mail(recommend={"sources": LADDER, "on_missing": "skip"}), recommender=empty)
    assert isinstance(skipped, Skip)
    assert skipped.reason == "no_items"


# --- experiments -----------------------------------------------------------------------------------------------------

OFFERS = msgspec.convert(
    {
        "name": "offers",
        "variants": {
            "personalised": {"share": 0.5},
            "popular": {"share": 0.5, "mail": {"subject": "Popular", "recommend": {"sources": ["popular"]}}},
        },
    },
    ExperimentDefinition,
)


def test_each_arm_gets_its_own_mail_with_its_probability() -> None:
    definition = mail(recommend={"sources": ["for_you"], "n": 2}, subject="For you")
    seen = set()
    for number in range(20):
        ground = decided(definition, person(first_identifier=f"user_id:{number}"), experiment=OFFERS).ground
        assert ground.assignment is not None
        assert ground.recommendations is not None
        seen.add((ground.assignment.variant, ground.mail.subject, ground.recommendations.items[0].source))
        assert ground.assignment.probability == 0.5
        assert ground.mail.recommend is not None
        assert ground.mail.recommend.n == 2
    assert seen == {("personalised", "For you", "for_you"), ("popular", "Popular", "popular")}


def test_overrides_change_what_they_name_and_take_away_by_null() -> None:
    base = mail(recommend={"sources": ["a"], "n": 3}, variables={"x": {"from": "trait x", "fallback": 1}})
    whole = merged(base, {"variables": {"y": {"from": "trait y", "fallback": 2}}, "recommend": None})
    assert sorted(whole.variables) == ["x", "y"]
    assert whole.recommend is None
    assert merged(base, {}) == base


def test_overrides_that_do_not_fit_are_refused_with_their_place() -> None:
    with pytest.raises(InvalidInput, match=r"recommend\.n"):
        merged(mail(recommend={"sources": ["a"]}), {"recommend": {"n": "six"}})


# --- record and explanation ------------------------------------------------------------------------------------------

REQUEST = SendRequest(
    send_key="k",
    origin="campaign:weekly",
    step="mail",
    occurrence="2017-12-04T14:00:00Z",
    person=Person(7),
    purpose="marketing",
    queued_at=NOW,
    send_by_at=Instant(NOW + DAY),
)

WHOLE = mail(
    content_rules=["hero"],
    recommend={"sources": ["gone", "for_you"], "n": 2, "exclude_recent": True, "fallback": ["z"]},
    variables={
        "name": {"from": "trait firstName", "fallback": "friend"},
        "town": {"from": "trait city", "fallback": "your town"},
    },
)


def whole_record() -> tuple[Decision, dict[str, Any]]:
    shelf = Shelf(SHELF.lists, {"gone": "there is no such model"})
    even = msgspec.convert(
        {"name": "even", "variants": {"a": {"share": 0.5}, "b": {"share": 0.5}}}, ExperimentDefinition
    )
    outcome = decided(WHOLE, experiment=even, recommender=shelf)
    assert isinstance(outcome, Decision)
    uses = ("attribute nowhere", "attribute spend", "segment active")
    matched = [Match(condition="campaign:weekly:audience", rule="spend > 100", truth=True, uses=uses)]
    return outcome, record(outcome, REQUEST, person(), matched=matched, definitions_version=3, now=NOW)


def test_a_record_survives_json_and_gives_the_variables_back() -> None:
    outcome, kept = whole_record()
    again = msgspec.json.decode(msgspec.json.encode(kept))
    assert again == kept
    assert rerender_variables(again) == outcome.variables


def test_a_record_holds_the_facts_that_were_used_and_no_others() -> None:
    _, kept = whole_record()
    assert kept["facts"] == {
        "attribute nowhere": None,
        "attribute spend": {"value": 120.5, "at": NOW - 3 * DAY, "source": "attribute"},
        "segment active": {"value": True, "at": None, "source": "segment"},
    }
    assert kept["engine"] == {"offset": 4096, "at": NOW}
    assert kept["first_identifier"] == "user_id:household-7"


def test_the_explanation_says_what_a_reader_asks() -> None:
    _, kept = whole_record()
    text = explain_text(kept)
    for expected in [
        "user_id:household-7 gets weekly of campaign:weekly, step mail, decided 2017-12-04T14:00:00Z",
        "campaign:weekly:audience holds: spend > 100",
        "attribute spend = 120.5 (from attribute, 2017-12-01T14:00:00Z)",
        "attribute nowhere is not known",
        "drawn with probability 50 %",
        "slot hero: hero chose coffee because favourite = 'COFFEE'",
        "loyal would hold too but come later",
        "there is no such model",
        "left out: a, b",
        "name = (sealed), from trait firstName told by demo, 300 days old",
        'town = "your town" (fallback): trait city is not known',
        "definitions 3, people as of 2017-12-04T14:00:00Z (offset 4096)",
    ]:
        assert expected in text
    assert SEALED["sealed"] not in text


def test_a_skip_and_a_refusal_are_explained_too() -> None:
    outcome = decided(mail(variables={"name": {"from": "trait nickname", "on_missing": "skip"}}))
    assert isinstance(outcome, Skip)
    kept = record(outcome, REQUEST, person(), matched=(), definitions_version=3, now=NOW)
    assert "the mail itself refused it: missing_variable: name: trait nickname is not known" in explain_text(kept)
    refused = record(Refused(reason="no_consent"), REQUEST, None, matched=(), definitions_version=3, now=NOW)
    lines = [line.text for line in explain(refused)]
    assert lines[:2] == [
        "person 7 gets no mail of campaign:weekly, step mail, decided 2017-12-04T14:00:00Z",
        "the gate refused it: no_consent",
    ]


def test_the_facts_that_a_rule_reads_are_found_wherever_they_stand() -> None:
    spend = syntax.Compare(op=">", left=syntax.Attribute(name="spend"), right=syntax.Constant(kind="number", value="1"))
    domain = syntax.IsKnown(value=syntax.Trait(path=("email", "domain")))
    grown = syntax.Compare(op=">", left=syntax.Age(), right=syntax.Constant(kind="number", value="17"))
    rule = syntax.And(
        terms=(syntax.Not(term=syntax.Or(terms=(spend, domain))), syntax.InSegment(name="vip"), grown, spend)
    )
    assert facts_used(rule) == ("attribute spend", "segment vip", "trait birthday", "trait email.domain")
    assert facts_used(syntax.Always()) == ()


def test_every_fact_a_rule_can_read_is_a_source_that_can_be_looked_up() -> None:
    rule = syntax.And(terms=(syntax.InSegment(name="vip"), syntax.IsKnown(value=syntax.Trait(path=("a", "b")))))
    assert [str(parse_source(name)) for name in facts_used(rule)] == ["segment vip", "trait a.b"]


# --- cross-checks ----------------------------------------------------------------------------------------------------

NAMES = Names(
    templates=["weekly"],
    content_rules={"hero": HERO},
    attributes=["spend", "recently_bought"],
    segments=["active"],
    models=["for_you", "popular"],
)


def test_a_mail_whose_names_all_exist_has_no_fault() -> None:
    definition = mail(
        content_rules=["hero"],
        recommend={"sources": LADDER, "exclude_recent": True, "exclude": ["trait disliked"]},
        variables={
            "a": {"from": "attribute spend", "fallback": 0},
            "b": {"from": "content hero.headline", "fallback": ""},
        },
    )
    assert check_mail(definition, NAMES) == []


@pytest.mark.parametrize(
    ("changes", "at", "hint"),
    [
        ({"template": "weakly"}, ("template",), "weekly"),
        ({"content_rules": ["heroes"]}, ("content_rules", 0), "hero"),
        ({"recommend": {"sources": ["popular", "for_yu"]}}, ("recommend", "sources", 1), "for_you"),
        ({"recommend": {"sources": ["popular"], "exclude": ["attribute cart"]}}, ("recommend", "exclude", 0), "known"),
        ({"variables": {"x": {"from": "attribute spent", "fallback": 0}}}, ("variables", "x", "from"), "spend"),
        ({"variables": {"x": {"from": "segment aktive", "fallback": 0}}}, ("variables", "x", "from"), "active"),
        ({"variables": {"x": {"from": "content hero.x", "fallback": 0}}}, ("variables", "x", "from"), ""),
        (
            {"content_rules": ["hero"], "variables": {"x": {"from": "content hero.headlin", "fallback": 0}}},
            ("variables", "x", "from"),
            "headline",
        ),
    ],
)
def test_a_name_that_nothing_defines_is_a_fault_with_the_nearest(
    changes: dict[str, Any], at: tuple[str | int, ...], hint: str
) -> None:
    (fault,) = check_mail(mail(**changes), NAMES)
    assert fault.at == at
    assert hint in fault.hint


def test_recent_purchases_can_only_be_left_out_where_the_attribute_exists() -> None:
    (fault,) = check_mail(
        mail(recommend={"sources": LADDER, "exclude_recent": True}), replace(NAMES, attributes=["spend"])
    )
    assert fault.at == ("recommend", "exclude_recent")


def test_ages_are_told_in_the_largest_unit_that_fits() -> None:
    facts = person(attributes={"spend": Known(value=1, at=Instant(NOW - 90 * SECOND), source="attribute")})
    outcome = decided(mail(variables={"x": {"from": "attribute spend", "fallback": 0}}), facts)
    assert "1 minute old" in explain_text(record(outcome, REQUEST, facts, matched=(), definitions_version=1, now=NOW))
