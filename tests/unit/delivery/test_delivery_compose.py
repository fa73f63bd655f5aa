"""From facts to bytes: what is in the mail, what stops it, and that its record makes it again."""

import email
import email.policy
import json
from dataclasses import replace

import pytest
from delivery_shop import IDENTITY, NOW, TEMPLATE, Shop, material, message, plan

from mailwright.core.errors import NotFound
from mailwright.core.messages import MessageState
from mailwright.core.ports import OptIn, Refusal
from mailwright.decisions.mail import MailDefinition, RecommendDefinition, VariableDefinition
from mailwright.delivery.compose import Ready, provided_names
from mailwright.delivery.opt_ins import confirmation
from mailwright.delivery.plan import Plan, Templates
from mailwright.delivery.prepare import Shelf
from mailwright.delivery.rerender import rerender
from mailwright.privacy.keys import KeyRing
from mailwright.rendering.links import link_targets
from mailwright.rendering.template import missing_variables, parse_template


def compose(shop: Shop, person: int = 1, **changes: object) -> Ready | Refusal:
    facts = shop.engine.people[person]
    one = message(person, **changes)
    the_plan = shop.material.plans[one.origin, one.step]
    shelf = Shelf(shop.engine, shop.material)
    return shop.composer.compose(one, the_plan, shop.material, facts, facts.traits["email"].value, shelf, NOW)


def parsed(ready: Ready) -> email.message.EmailMessage:
    mail = email.message_from_bytes(ready.envelope.body, policy=email.policy.default)
    assert not mail.defects
    return mail


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.add(1)
    shop.add(2, first_name="Zoë <b>\u2028&")
    shop.add(3, first_name=None)
    return shop


def test_a_whole_mail(shop: Shop) -> None:
    ready = compose(shop)
    mail = parsed(ready)
    assert ready.envelope.rcpt_to == "household-1@example.com"
    assert ready.envelope.mail_from == "shop@maple.example"
    assert mail["Message-ID"] == f"<{1:064x}@maple.example>"
    assert mail["From"] == "Maple Grove <shop@maple.example>"
    assert mail["To"] == "household-1@example.com"
    assert mail["Date"].datetime.isoformat() == "2026-11-02T09:00:00+00:00"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    leave = mail["List-Unsubscribe"].strip("<>")
    unsubscribing = shop.links.read_unsubscribe(leave.rsplit("/", 1)[1])
    assert (unsubscribing.message_id, unsubscribing.address_hash) == ("m1", shop.hash(1))
    html = mail.get_body(("html",)).get_content()
    text = mail.get_body(("plain",)).get_content()
    assert "Hello Anna, welcome" in html
    assert leave in html
    assert leave in text
    assert "Tea 2.5" in html
    assert "Coffee 4" in html
    assert "No price" not in html
    targets = [shop.links.read_click(url.rsplit("/", 1)[1]).url for url in link_targets(html) if "/c/" in url]
    assert targets == [
        "https://maple.example/offers?a=1&b=2",
        "https://maple.example/p/1",
        "https://maple.example/p/3",
    ]
    assert f'src="{shop.links.pixel("m1")}"' in html


def test_names_are_escaped_in_html_and_harmless_in_headers(shop: Shop) -> None:
    mail = parsed(compose(shop, 2))
    html = mail.get_body(("html",)).get_content()
    assert "Zoë &lt;b&gt;" in html
    assert "Zoë <b>" in mail["Subject"]
    assert "thank you" in html


def test_a_missing_name_falls_back_and_the_record_says_so(shop: Shop) -> None:
    ready = compose(shop, 3)
    assert "for there" in ready.handing.subject
    (variable,) = ready.handing.decision["variables"]
    assert (variable["used"], variable["value"]) == ("fallback", "there")


def test_the_record_holds_no_clear_address_or_name(shop: Shop) -> None:
    text = json.dumps(compose(shop).handing.decision)
    assert "household-1" not in text
    assert "Anna" not in text
    assert shop.hash(1) in text


def test_both_arms_appear_with_their_probability(shop: Shop) -> None:
    arms = {}
    for person in range(10, 40):
        shop.add(person)
        ready = compose(shop, person)
        arms[ready.handing.variant] = ready.handing.subject
        assert ready.handing.p_variant == 0.5
    assert arms == {"a": "Offers for Anna", "b": "B for Anna"}


def test_items_without_a_price_are_replaced_by_the_next(shop: Shop) -> None:
    shop.engine.catalog["1"] = {"name": "Tea", "price": float("nan")}
    kept = compose(shop).handing.decision
    assert [item["item_id"] for item in kept["recommendations"]["items"]] == ["3", "5"]


STOPPING = {
    "no unsubscribe": (TEMPLATE.replace("{{ unsubscribe_url }}", "https://maple.example/u"), "no_unsubscribe"),
    "unsubscribe only as words": (
        TEMPLATE.replace('<a href="{{ unsubscribe_url }}">Unsubscribe</a>', "{{ unsubscribe_url }}"),
        "no_unsubscribe",
    ),
    "unsubscribe only in HTML": (
        TEMPLATE.replace("---\n<mjml>", "text: '{{ sender.postal_address }}'\n---\n<mjml>"),
        "no_unsubscribe",
    ),
    "postal address only in HTML": (
        TEMPLATE.replace("---\n<mjml>", "text: '{{ unsubscribe_url }}'\n---\n<mjml>"),
        "no_postal_address",
    ),
    "no postal address": (TEMPLATE.replace("{{ sender.postal_address }}", ""), "no_postal_address"),
    "fails for the values": (TEMPLATE.replace("{{ item.price }}", "{{ item.price | divided_by: 0 }}"), "template"),
    "empty subject": (TEMPLATE.replace("Offers for {{ first_name }}", "{{ nothing }}"), "template"),
}


@pytest.mark.parametrize(("template", "reason"), STOPPING.values(), ids=STOPPING)
def test_a_template_that_cannot_be_sent(template: str, reason: str, shop: Shop) -> None:
    shop.material = material(template, plans={("campaign:weekly", "mail"): plan(experiment=None)})
    refusal = compose(shop)
    assert isinstance(refusal, Refusal)
    assert (refusal.state, refusal.reason) == (MessageState.SUPPRESSED, reason)
    assert refusal.decision["outcome"]["reason"] == reason
    assert refusal.decision["content"]


def test_an_unknown_template_is_told(shop: Shop) -> None:
    shop.material = material(templates=Templates({}))
    refusal = compose(shop)
    assert refusal.reason == "template"
    assert "weekly" in refusal.decision["outcome"]["detail"]


def test_transactional_mail_has_no_list_headers_and_may_have_no_unsubscribe(shop: Shop) -> None:
    shop.material = material(TEMPLATE.replace("{{ unsubscribe_url }}", "https://maple.example"))
    mail = parsed(compose(shop, purpose=""))
    assert not {"List-Unsubscribe", "List-Id", "Feedback-ID", "Precedence"} & set(mail.keys())


SKIPS = [
    ({"variables": {"first_name": VariableDefinition(source="trait nothing", on_missing="skip")}}, "missing_variable"),
    ({"recommend": RecommendDefinition(sources=["popular"], on_missing="skip")}, "no_items"),
]


@pytest.mark.parametrize(("change", "reason"), SKIPS, ids=[reason for _, reason in SKIPS])
def test_a_skip_is_a_refusal_with_its_record(change: dict, reason: str, shop: Shop) -> None:
    import msgspec

    shop.engine.catalog = {}
    mail = msgspec.structs.replace(plan().mail, **change)
    shop.material = material(plans={("campaign:weekly", "mail"): plan(mail=mail, experiment=None)})
    refusal = compose(shop)
    assert (refusal.state, refusal.reason) == (MessageState.SUPPRESSED, reason)
    assert refusal.decision["outcome"]["kind"] == "skip"


def test_all_variables_of_the_template_are_provided(shop: Shop) -> None:
    compiled = shop.material.templates.get("weekly")
    provided = provided_names(plan().mail, shop.material.content_rules)
    assert missing_variables(compiled, provided) == []
    assert missing_variables(compiled, provided - {"unsubscribe_url"})


# --- rerender --------------------------------------------------------------------------------------------------------


def read_back(ready: Ready) -> object:
    """The message as Records gives it back: the decision has been JSON."""
    return replace(ready.message, state=MessageState.SENT, decision=json.loads(json.dumps(ready.handing.decision)))


@pytest.mark.parametrize("person", [1, 2, 3])
def test_the_record_makes_the_same_bytes(person: int, shop: Shop) -> None:
    ready = compose(shop, person)
    again = rerender(read_back(ready), ready.envelope.body, material().templates, shop.composer, shop.links)
    assert again.same
    assert again.causes == ()


def test_what_changed_is_named(shop: Shop) -> None:
    ready = compose(shop, 1)
    newer = Shop(KeyRing(data=shop.keys.data, hash=shop.keys.hash, links={**shop.keys.links, 2: b"x" * 32}))
    templates = Templates({"weekly": parse_template("weekly", TEMPLATE.replace("Hello", "Hi"))})
    back = read_back(ready)
    back.decision["delivery"]["libraries"]["css-inline"] = "0.1"
    again = rerender(back, ready.envelope.body, templates, newer.composer, newer.links)
    assert not again.same
    assert [cause.split(":")[0] for cause in again.causes] == ["template", "key of the links", "css-inline"]


def test_a_mail_that_never_was(shop: Shop) -> None:
    with pytest.raises(NotFound):
        rerender(message(), None, shop.material.templates, shop.composer, shop.links)


def test_identity_without_a_domain_is_no_crash() -> None:
    shop = Shop(identity=replace(IDENTITY, from_address="shop"))
    shop.add(1)
    assert compose(shop).reason == "template"


CONFIRM = """---
subject: "{% if form_language == 'de' %}Bitte bestätigen{% else %}Please confirm{% endif %}: {{ form_title }}"
---
<mjml><mj-body><mj-section><mj-column>
<mj-text>{{ purposes | join }} <a href="{{ confirm_url }}">x</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""


@pytest.mark.parametrize(
    ("language", "title", "subject"),
    [("de", "Verein", "Bitte bestätigen: Verein"), ("", "Club", "Please confirm: Club")],
)
def test_a_confirmation_mail_speaks_the_language_of_its_form(shop, language, title, subject):
    opt_in = OptIn(
        id="o1",
        form="club",
        address_hash=shop.sealer.hash_address("ada@example.com"),
        address=shop.sealer.seal("email", "ada@example.com"),
        purposes=[("marketing", "Ja, schreibt mir.")],
        identifier="anonymous_id:x",
        asked_at=NOW,
        expires_at=NOW + 9,
        asked_ip=None,
        asked_agent="",
        wording_version=1,
    )
    asked = confirmation(opt_in, language)
    assert asked.send_key == confirmation(opt_in).send_key, "one mail for ever, in whatever language"
    the_plan = Plan(mail=MailDefinition(template="confirm"), title=title, language=language or "en")
    templates = Templates({"confirm": parse_template("confirm", CONFIRM)})
    shop.material = material(plans={(asked.origin, asked.step): the_plan}, templates=templates)
    told = {name: getattr(asked, name) for name in ("origin", "step", "occurrence", "person", "purpose", "send_by_at")}
    shelf, facts = Shelf(shop.engine, shop.material), shop.engine.people[1]
    ready = shop.composer.compose(message(**told), the_plan, shop.material, facts, opt_in.address, shelf, NOW, opt_in)
    assert isinstance(ready, Ready)
    mail = parsed(ready)
    assert mail["subject"] == subject
    assert "Ja, schreibt mir." in mail.get_body(("html",)).get_content()
