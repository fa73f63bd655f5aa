"""Forms in a real Chromium, over a real engine and a real sender: asked, checked as typed, confirmed by mail, proven.

Then what a mail brings back: an answer that changes a segment, missing fields, preferences.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from chromium import chromium, needs_chromium, playwright
from live_shop import Live, live_shop, wait_for
from loopback_dns import name_server

from mailwright.cli.consents import _proof
from mailwright.core.facts import Known
from mailwright.delivery.channels.mailbox import MailboxChannel
from mailwright.delivery.compose import Composer
from mailwright.delivery.gate import SenderIdentity
from mailwright.delivery.links import MailLinks
from mailwright.delivery.prepare import Preparation
from mailwright.delivery.pump import pump
from mailwright.delivery.sender import Sender, SendingSettings
from mailwright.runtime.clocks import SystemClock
from mailwright.runtime.material import MaterialSource
from mailwright.runtime.project import starter
from mailwright.stores.dns_mx import DnsMailDomains
from mailwright.web.context import WebContext

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = needs_chromium("forms.js")

SEGMENTS = """\
confirmed: {title: Confirmed, rule: did 'Subscription Confirmed'}
fans: {title: Fans, rule: trait satisfaction >= 9}
trail: {title: Trail runners, rule: "trait preferences contains 'trail'"}
"""
WELCOME = """\
title: Welcome
trigger: {enters: confirmed}
steps:
  - mail: {template: welcome}
"""
TEMPLATE = """\
---
subject: Welcome
preheader: Hello
---
<mjml><mj-body><mj-section><mj-column>
<mj-text>
<a href="{{ 'satisfaction' | answer_url: 'satisfaction', 9 }}">Nine</a>
<a href="{{ 'newsletter' | form_url }}">Tell us more</a>
<a href="{{ 'preferences' | preferences_url }}">Preferences</a>
<a href="{{ unsubscribe_url }}">Unsubscribe</a> {{ sender.postal_address }}</mj-text>
</mj-column></mj-section></mj-body></mjml>
"""
ANNA = "anna@maple.example"
IDENTITY = SenderIdentity(
    from_name="Maple Grove",
    from_address="hello@maple.example",
    postal_address="1 Grove Street, Mapleton",
    base_url="",
    allow_reserved_domains=True,
)


@dataclass
class Site:
    """A door, an engine and a sender."""

    live: Live
    mailbox: Path

    @property
    def base_url(self) -> str:
        return self.live.base_url

    @property
    def context(self) -> WebContext:
        context: WebContext = self.live.app.state.context
        return context

    def granted(self) -> bool:
        return bool(self.context.records.consents.granted([self.context.sealer.hash_address(ANNA)], "marketing"))

    def proof(self) -> str:
        there: Any = SimpleNamespace(records=self.context.records, sealer=self.context.sealer)
        return "\n".join(_proof(there, ANNA))

    def traits(self) -> dict[str, Known]:
        person = self.live.client.find("email", self.context.sealer.hash_address(ANNA))
        assert person is not None
        return self.live.client.facts([person])[person].traits

    def size(self, segment: str) -> int:
        return self.live.client.status().segments.get(segment, -1)


def _files() -> dict[str, str]:
    folder = Path(starter.__file__).parent
    kept = [*folder.glob("forms/*.yaml"), folder / "templates" / "confirm.mjml"]
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in kept}
    files["forms/newsletter.yaml"] += "limits: {least_seconds: 0}\n"  # a test is faster than people
    return files | {
        "mailwright.toml": '[project]\nname = "Maple Grove"\ntime_zone = "UTC"\n',
        "segments.yaml": SEGMENTS,
        "journeys/welcome.yaml": WELCOME,
        "templates/welcome.mjml": TEMPLATE,
    }


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with name_server({("maple.example", "MX"): "10 mx.maple.example."}) as (port, _):

        def adapt(context: WebContext) -> WebContext:
            settings = replace(context.settings, allow_reserved_domains=True)
            return replace(
                context, settings=settings, mail_domains=DnsMailDomains(["127.0.0.1"], port=port, timeout_s=60)
            )

        with live_shop(tmp_path, _files(), adapt) as live, _sending(live, tmp_path / "mailbox"):
            yield Site(live, tmp_path / "mailbox")


@contextmanager
def _sending(live: Live, mailbox: Path) -> Iterator[None]:
    """A sender, as the process runs it, and the pump beside it."""
    context: WebContext = live.app.state.context
    records, links = context.records, MailLinks(context.tokens, live.base_url)
    identity = replace(IDENTITY, base_url=live.base_url)
    there: Any = SimpleNamespace(
        records=records, engine=context.engine, blobs=context.blobs, clock_watch=lambda: None, clock=context.clock
    )
    sender = Sender(
        messages=records.messages,
        preparation=Preparation(
            engine=context.engine,
            consents=records.consents,
            sealer=context.sealer,
            composer=Composer(sealer=context.sealer, links=links, identity=identity),
            material=MaterialSource(there),
            identity=identity,
            opt_ins=records.opt_ins,
        ),
        channel=MailboxChannel(mailbox),
        clock=context.clock,
        lease_clock=SystemClock(),
        settings=SendingSettings(worker="test", connections=2, lease_s=900, max_attempts=3, idle_s=0.2),
    )
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        stop = asyncio.Event()
        running.append((asyncio.get_running_loop(), stop))
        sending = asyncio.create_task(sender.run(stop))
        while not stop.is_set():
            await asyncio.to_thread(pump, records.outbox, context.log, context.clock)
            await asyncio.sleep(0.1)
        await sending

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    wait_for(lambda: bool(running), "the sender does not run")
    try:
        yield
    finally:
        loop, stop = running[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(120)
        assert not thread.is_alive(), "the sender does not end"


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def _mail(site: Site, subject: str) -> EmailMessage:
    def found() -> EmailMessage | None:
        for path in site.mailbox.glob("*.eml"):
            mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            if subject in mail["Subject"]:
                return mail  # type: ignore[return-value]
        return None

    wait_for(lambda: found() is not None, f"there is no mail {subject!r}")
    answer = found()
    assert answer is not None
    return answer


def _link(mail: EmailMessage, path: str) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    (url,) = set(re.findall(rf"https?://[^/\s]+{path}[\w\-.?=/]+", part.get_content()))
    return str(url)


def _labels(page: Page) -> list[str]:
    return [
        text.removesuffix(" optional").strip() for text in page.locator("[data-field] > :first-child").all_inner_texts()
    ]


def _fill(page: Page) -> None:
    page.get_by_label("E-mail address").fill(ANNA)
    page.get_by_label("First name").fill("Anna")
    page.get_by_label("Running on trails").check()
    page.get_by_label("Yes, send me news").check()


def test_a_form_is_confirmed_by_mail_and_an_answer_in_a_mail_changes_a_segment(site: Site, browser: Browser) -> None:
    context: BrowserContext = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.base_url}/f/newsletter")
    assert _labels(page)[:3] == ["E-mail address", "First name", "What do you like best?"]
    assert not page.get_by_label("Yes, send me news").is_checked()

    # As typed: a slip, a dead domain, then a good address.
    address, note = page.get_by_label("E-mail address"), page.locator("#field-email-note")
    address.fill("anna@gmial.com")
    address.blur()
    playwright.expect(note).to_contain_text("Did you mean anna@gmail.com")
    address.fill("anna@dead.example")
    address.blur()
    playwright.expect(note).to_have_text("the domain dead.example takes no mail")
    assert address.get_attribute("aria-invalid") == "true"
    page.get_by_role("button", name="Subscribe").click()
    playwright.expect(page.get_by_role("alert")).to_be_visible()
    playwright.expect(address).to_be_focused()
    _fill(page)
    playwright.expect(note).to_have_text("")
    page.get_by_role("button", name="Subscribe").click()
    playwright.expect(page.get_by_role("status")).to_contain_text("look into your mailbox")
    assert context.cookies() == []

    # The next visit of this browser asks other fields.
    page.goto(f"{site.base_url}/f/newsletter")
    playwright.expect(page.locator("[data-field=birthday]")).to_be_visible()
    assert _labels(page)[:3] == ["E-mail address", "Birthday", "Postal code"]

    # Double opt-in: opening the link grants nothing, the button does, and the proof can be shown.
    confirm = _link(_mail(site, "Please confirm"), "/k/")
    page.goto(confirm)
    assert not site.granted()
    page.get_by_role("button", name="Confirm").focus()
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_role("heading", name="Confirmed")).to_be_visible()
    assert site.granted()
    proof = site.proof()
    for part in ("Form newsletter, proof", "confirmed  20", "from 127.0.0.1", "Chrome"):
        assert part in proof
    assert "marketing: Yes, send me news and offers by e-mail." in proof

    # The welcome mail goes to the address that is verified now; an answer in it changes a segment.
    welcome = _mail(site, "Welcome")
    assert welcome["To"] == ANNA
    assert site.size("fans") == 0
    answer = _link(welcome, "/a/")
    assert httpx.get(answer, timeout=60).status_code == 200
    assert httpx.head(answer, timeout=60).status_code in (200, 405)
    page.goto(answer)
    assert page.get_by_label("9", exact=True).is_checked()
    assert site.size("fans") == 0
    page.get_by_role("button", name="Send the answer").click()
    playwright.expect(page.get_by_role("status")).to_contain_text("Thank you")
    wait_for(lambda: site.size("fans") == 1, "the answer makes no fan")

    # A form reached by the mail knows what is missing, and says nothing about what is known.
    stranger = browser.new_context(java_script_enabled=False)
    theirs = stranger.new_page()
    theirs.goto(_link(welcome, "/f/"))
    assert _labels(theirs)[:3] == ["Birthday", "Postal code", "City"]
    assert "Anna" not in theirs.content()
    theirs.get_by_label("Postal code").fill("123")
    theirs.get_by_role("button", name="Subscribe").click()
    playwright.expect(theirs.locator("#field-postalCode-note")).to_contain_text("no postal code of Germany")
    theirs.get_by_label("Postal code").fill("10115")
    theirs.get_by_label("City").fill("Berlin")
    theirs.get_by_role("button", name="Subscribe").click()
    playwright.expect(theirs.get_by_role("status")).to_contain_text("we will write to you")

    # Preferences: tags, a corrected trait, and a withdrawal that binds at once.
    theirs.goto(_link(welcome, "/p/"))
    wait_for(lambda: site.size("trail") == 1, "the tag is not known")
    theirs.reload()
    assert theirs.get_by_label("Running on trails").is_checked()
    theirs.get_by_label("Running on trails").uncheck()
    theirs.get_by_label("Yes, send me news").uncheck()
    theirs.get_by_label("First name").fill("Ann")
    theirs.get_by_role("button", name="Save").click()
    playwright.expect(theirs.get_by_role("status")).to_have_text("Saved.")
    assert not site.granted()
    wait_for(lambda: site.size("trail") == 0, "the tag stays")
    traits = site.traits()
    assert site.context.sealer.unseal(traits["firstName"].value) == "Ann"
    assert traits["postalCode"].value == "10115"
    assert "unverified_email" not in traits
    log = b"".join(path.read_bytes() for path in site.mailbox.parent.glob("*.sqlite*"))
    assert ANNA.encode() not in log


@contextmanager
def _elsewhere(script: str, policy: str) -> Iterator[str]:
    """The address of a page of another origin that holds the script and keeps a strict policy of its own."""
    html = f'<!doctype html><html lang="en"><title>Shop</title><body><h1>Shop</h1>{script}</body></html>'.encode()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(html)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_a_form_stands_in_a_page_of_another_origin(site: Site, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    script = f'<script src="{site.base_url}/forms.js" data-form="newsletter" async></script>'
    with _elsewhere(script, f"script-src {site.base_url}; connect-src {site.base_url}; style-src 'none'") as address:
        page.add_init_script("window.mailwright = {user: () => ({anonymousId: () => 'snippet-visitor-1'})}")
        page.goto(address)
        form = page.locator("[data-mailwright=newsletter] form")
        playwright.expect(form).to_be_visible()
        assert _labels(page)[:3] == ["E-mail address", "First name", "What do you like best?"]
        assert form.evaluate("form => getComputedStyle(form).display") == "grid"
        _by_keyboard(page)
        playwright.expect(page.get_by_role("status")).to_contain_text("look into your mailbox")
        page.reload()
        playwright.expect(page.locator("[data-field=birthday]")).to_be_visible()
        assert page.locator("[data-field=firstName]").count() == 0
        assert context.cookies() == []
    assert [line for line in said if "favicon" not in line] == []
    assert _mail(site, "Please confirm")["To"] == ANNA
    wait_for(
        lambda: site.live.client.find("anonymous_id", "snippet-visitor-1") is not None,
        "what the snippet calls the visitor is not what the form tells",
    )


def _by_keyboard(page: Page) -> None:
    """Fill the form in without a mouse."""
    page.get_by_label("E-mail address").focus()
    page.keyboard.type(ANNA)
    page.keyboard.press("Tab")
    page.keyboard.type("Anna")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
