"""The pages of forms in a real Chromium: checked as typed, in the reader's language, by keyboard, in every size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from chromium import LISTEN, chromium, needs_chromium, playwright
from form_site import Site, reader
from seeded_shop import make_shop
from serving import free_socket, served
from visitors import client_of

from mailwright.core.instants import MINUTE, Instant
from mailwright.ingest.forms.definitions import FormDefinition
from mailwright.stores.postal_codes import PostalTable
from mailwright.web.app import create_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = needs_chromium("forms.js")

SIZES: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1100, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1100, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 780}, "color_scheme": "light", "has_touch": True},
}

_YES = {"purpose": "marketing", "wording": "Yes, send me offers by e-mail. I can unsubscribe with one click."}
FORMS = {
    "club": {
        "title": "Join the club",
        "intro": "Twice a month, nothing else.",
        "fields": [
            {"trait": "email", "label": "E-mail address", "type": "email", "required": True},
            {"trait": "land", "label": "Country", "type": "country"},
            {"trait": "zip", "label": "Postal code", "type": "postal_code", "help": "Where we deliver to."},
            {"trait": "town", "label": "City", "type": "city"},
            {
                "trait": "sport",
                "label": "What do you like?",
                "type": "choice",
                "required": True,
                "help": "One of these.",
                "options": [{"value": "run", "label": "Running"}, {"value": "swim", "label": "Swimming"}],
            },
            {
                "trait": "days",
                "label": "When?",
                "type": "choices",
                "options": [{"value": "week", "label": "In the week"}, {"value": "end", "label": "At weekends"}],
            },
            {"trait": "birthday", "label": "Birthday", "type": "date"},
            {"trait": "phone", "label": "Phone", "type": "phone"},
        ],
        "at_once": 8,
        "country": "DE",
        "purposes": [{**_YES, "required": True}],
        "policy_url": "https://shop.example/privacy",
        "limits": {"least_seconds": 0, "per_address_a_minute": 1000, "checks_a_minute": 1000},
        "translations": {
            "de": {
                "title": "Zum Verein",
                "fields": {"zip": {"label": "Postleitzahl"}, "town": {"label": "Ort"}},
                "purposes": {"marketing": "Ja, schickt mir Angebote per Mail."},
            }
        },
    },
    "nps": {
        "title": "How do you like us?",
        "kind": "survey",
        "fields": [
            {"trait": "score", "label": "Would you tell friends about us?", "type": "rating", "required": True},
            {"trait": "why", "label": "Why?", "max_chars": 1000},
        ],
    },
    "centre": {
        "title": "Your mail from us",
        "kind": "preferences",
        "purposes": [_YES],
        "fields": [
            {
                "trait": "often",
                "label": "How often?",
                "type": "choice",
                "options": [
                    {"value": "week", "label": "Weekly", "tag": "weekly"},
                    {"value": "month", "label": "Monthly"},
                ],
            },
            {"trait": "town", "label": "City", "type": "city"},
        ],
    },
    "mail": {
        "title": "Our news",
        "fields": [{"trait": "email", "label": "E-mail address", "type": "email", "required": True}],
        "purposes": [_YES],
        "double_opt_in": {},
        "limits": {"least_seconds": 0},
    },
}


@dataclass
class There:
    """Forms behind a real server."""

    site: Site
    base: str
    browser: Browser

    @cached_property
    def pages(self) -> dict[str, str]:
        """What each hosted page is called -> its address."""
        message, _ = reader(self.site)
        self.site.opt_in("confirm@example.com", name="mail")
        paths = {
            "answer": self.site.own_link("a/nps/score/9", message),
            "preferences": self.site.own_link("p/centre", message),
            "confirm": self.site.confirm_url(),
        }
        return {
            "form": f"{self.base}/f/club",
            "survey": f"{self.base}/f/nps",
            "over": f"{self.base}/k/x",
            **paths,
        }

    @contextmanager
    def page(self, size: str = "light", **more: Any) -> Iterator[Page]:
        self.site.shop.wall.at = Instant(self.site.shop.wall.at + MINUTE)
        context = self.browser.new_context(**SIZES[size], **more)
        context.add_init_script(LISTEN)
        yield context.new_page()
        context.close()


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    folder = tmp_path_factory.mktemp("forms")
    path = folder / "codes.txt"
    rows = [("DE", "10115", "Berlin"), ("DE", "50667", "Köln"), ("AT", "1010", "Wien")]
    path.write_text("".join("\t".join([*row, *[""] * 9]) + "\n" for row in rows), encoding="utf-8")
    bound = free_socket()
    base = f"http://127.0.0.1:{bound.getsockname()[1]}"
    shop = make_shop(folder, base, n_people=12)
    forms = {name: msgspec.convert(told, FormDefinition) for name, told in FORMS.items()}
    table = PostalTable(path, folder / "postal_codes.sqlite")
    shop.context = replace(
        shop.context,
        project=replace(shop.context.project, forms=forms),
        settings=replace(shop.context.settings, allow_reserved_domains=True),
        postal_places=table,
    )
    with served(create_app(shop.context), bound), chromium() as started:
        yield There(Site(shop, client_of(shop)), base, started)
    table.close()
    shop.records.close()


def _note(page: Page, trait: str) -> Any:
    return playwright.expect(page.locator(f"#field-{trait}-note"))


def test_a_postal_code_and_its_city_are_checked_as_typed(there: There) -> None:
    with there.page(locale="en-GB") as page:
        page.goto(f"{there.base}/f/club")
        code, city = page.get_by_label("Postal code"), page.get_by_label("City")
        code.fill("10999")
        code.blur()
        _note(page, "zip").to_have_text("there is no postal code 10999 in Germany")
        playwright.expect(code).to_have_attribute("aria-invalid", "true")
        code.fill("10115")
        _note(page, "zip").to_have_text("")
        city.fill("Köln")
        city.blur()
        _note(page, "town").to_have_text("the postal code 10115 belongs to Berlin. Did you mean Berlin?")
        page.get_by_role("button", name="Berlin").click()
        playwright.expect(city).to_have_value("Berlin")
        _note(page, "town").to_have_text("")
        code.fill("50667")
        code.blur()
        _note(page, "town").to_have_text("the postal code 50667 belongs to Köln. Did you mean Köln?")
        city.fill("koeln")
        city.blur()
        _note(page, "town").to_have_text("")
        page.get_by_label("Country").select_option("AT")
        _note(page, "zip").to_contain_text("no postal code of Austria")


def test_a_page_and_its_checks_speak_german_to_who_reads_german(there: There) -> None:
    with there.page(locale="de-DE") as page:
        page.goto(f"{there.base}/f/club")
        assert page.locator("html").get_attribute("lang") == "de"
        code = page.get_by_label("Postleitzahl")
        code.fill("10999")
        code.blur()
        _note(page, "zip").to_have_text("die Postleitzahl 10999 gibt es nicht (Deutschland)")
        page.get_by_label("Postleitzahl").fill("50667")
        page.get_by_label("Ort").fill("Kölm")
        page.get_by_label("Ort").blur()
        _note(page, "town").to_have_text("die Postleitzahl 50667 gehört zu Köln. Meinten Sie Köln?")
        page.get_by_role("button", name="Senden").click()
        playwright.expect(page.get_by_role("alert")).to_have_text("Bitte sehen Sie nach, was unten markiert ist.")
        # Drawn by the script for a browser that was here before, it is German still.
        page.evaluate("localStorage.setItem('mailwright.forms', 'x')")
        page.reload()
        playwright.expect(page.locator("form")).to_have_attribute("data-ready", "true")
        playwright.expect(page.get_by_label("Postleitzahl")).to_be_visible()
        assert page.get_by_text("freiwillig").count() > 3


@pytest.mark.parametrize("javascript", [True, False])
def test_the_first_wrong_answer_gets_the_focus_and_says_why(there: There, javascript: bool) -> None:
    with there.page(locale="en-GB", java_script_enabled=javascript) as page:
        page.goto(f"{there.base}/f/club")
        page.get_by_label("E-mail address").fill("anna@example.com")
        page.get_by_label("Postal code").fill("123")
        page.get_by_role("button", name="Send").click()
        if not javascript:  # the browser itself asks for what is required first
            page.get_by_label("Running").check()
            page.get_by_role("checkbox", name="Yes, send me").check()
            page.get_by_role("button", name="Send").click()
        playwright.expect(page.get_by_role("alert")).to_be_visible()
        wrong = page.get_by_label("Postal code")
        playwright.expect(wrong).to_be_focused()
        described = (wrong.get_attribute("aria-describedby") or "").split()
        said = " ".join(page.locator(f"#{each}").inner_text() for each in described)
        assert "no postal code of Germany" in said
        assert "Where we deliver to." in said
        if javascript:
            sport = page.get_by_role("group", name="What do you like?")
            playwright.expect(sport).to_have_accessible_description("choose an answer One of these.")
            box = page.get_by_role("checkbox", name="Yes, send me")
            playwright.expect(box).to_have_attribute("aria-invalid", "true")
            playwright.expect(box).to_have_accessible_description("tick this box to go on")


@pytest.mark.parametrize("size", SIZES)
def test_every_page_is_drawn_without_a_complaint_and_named_for_everybody(there: There, size: str) -> None:
    for name, url in there.pages.items():
        with there.page(size) as page:
            said: list[str] = []
            page.on("pageerror", lambda error, said=said: said.append(str(error)))
            page.on("console", lambda line, said=said: said.append(line.text) if line.type == "error" else None)
            page.goto(url)
            assert page.title().endswith(" · Corner Grocery"), name  # whose page it is, not whose program
            assert page.evaluate("violations") == [], name
            assert [line for line in said if "404" not in line] == [], name
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
            assert page.locator("h1").count() == 1, name
            assert page.evaluate(NAMELESS) == [], name
            assert page.evaluate(LOST) == [], name
            assert page.evaluate(SMALL) == [] or size != "phone", name


NAMELESS = """[...document.querySelectorAll('input:not([type=hidden]), select, textarea, button')]
  .filter(one => !(one.labels?.length || one.textContent.trim())).map(one => one.outerHTML)"""
LOST = """[...document.querySelectorAll('[aria-describedby]')]
  .flatMap(one => one.getAttribute('aria-describedby').split(' ')).filter(id => !document.getElementById(id))"""
SMALL = """[...document.querySelectorAll('main :is(button, select, label.ask-option, [type=text], [type=email])')]
  .filter(one => !one.closest('.ask-trap') && one.getBoundingClientRect().height < 24).map(one => one.outerHTML)"""


def test_a_form_is_filled_in_and_sent_by_keyboard_alone(there: There) -> None:
    with there.page(locale="en-GB") as page:
        page.goto(f"{there.base}/f/club")
        _tab_to(page, page.get_by_label("E-mail address"))
        page.keyboard.type("keys@example.com")
        _tab_to(page, page.get_by_label("Postal code"))
        page.keyboard.type("10115")
        _tab_to(page, page.get_by_label("City"))
        page.keyboard.type("Berlin")
        _tab_to(page, page.get_by_label("Running"))
        page.keyboard.press("Space")
        _tab_to(page, page.get_by_role("checkbox", name="Yes, send me"))
        page.keyboard.press("Space")
        _tab_to(page, page.get_by_role("button", name="Send"))
        page.keyboard.press("Enter")
        thanks = page.get_by_role("status")
        playwright.expect(thanks).to_have_text("Thank you.")
        playwright.expect(thanks).to_be_focused()


def _tab_to(page: Page, wanted: Locator) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        if wanted.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError("the keyboard does not get there")


def test_a_page_may_fix_the_language_of_a_form_that_it_embeds(there: There) -> None:
    with there.page(locale="en-GB") as page:
        page.goto(f"{there.base}/k/x")
        page.evaluate(EMBED)
        form = page.locator("[data-mailwright=club] form")
        playwright.expect(form.get_by_label("Postleitzahl")).to_be_visible()
        assert form.get_attribute("lang") == "de"
        form.get_by_label("E-mail address").fill("nobody@")
        form.get_by_role("button", name="Senden").click()
        playwright.expect(form.get_by_label("E-mail address")).to_be_focused()
        playwright.expect(form.get_by_text("das ist keine E-Mail-Adresse")).to_be_visible()
        sport = form.get_by_role("group", name="What do you like?")
        playwright.expect(sport).to_have_accessible_description("bitte eine Antwort wählen One of these.")


EMBED = """() => {
  const made = document.createElement('script');
  Object.assign(made, {src: '/forms.js', async: true});
  Object.assign(made.dataset, {form: 'club', lang: 'de'});
  document.querySelector('main').append(made);
}"""
