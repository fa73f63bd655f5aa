"""Signed links: what comes back is what was put in, and nothing else is taken."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import DAY, Instant
from mailwright.delivery.links import Answering, Clicked, FormLink, MailLinks, Opened, Unsubscribing
from mailwright.privacy.keys import KeyRing
from mailwright.privacy.tokens import Tokens
from mailwright.rendering.filters import answer_url, form_url, preferences_url

LINKS = MailLinks(Tokens(KeyRing.generate()), "https://mail.example.com/")
OTHER = MailLinks(Tokens(KeyRing.generate()), "https://mail.example.com/")


def token(link: str) -> str:
    return link.rsplit("/", 1)[1].removesuffix(".gif")


def test_round_trips() -> None:
    open_url = LINKS.pixel("m1")
    assert open_url.startswith("https://mail.example.com/o/")
    assert open_url.endswith(".gif")
    assert LINKS.read_open(token(open_url)) == Opened("m1")
    click = LINKS.click("m1", 3, "https://maple.example/p?a=1&b=ü")
    assert click.startswith("https://mail.example.com/c/")
    assert LINKS.read_click(token(click)) == Clicked("m1", 3, "https://maple.example/p?a=1&b=ü")
    leave = LINKS.unsubscribe("m1", "ab12", "marketing")
    assert leave.startswith("https://mail.example.com/u/")
    assert LINKS.read_unsubscribe(token(leave)) == Unsubscribing("m1", "ab12", "marketing")


@pytest.mark.parametrize("url", ["mailto:a@example.com", "tel:1", "javascript:alert(1)", "https://x/" + "y" * 2000])
def test_what_is_not_wrapped(url: str) -> None:
    assert LINKS.click("m1", 0, url) == url


def test_a_token_serves_its_own_purpose_and_installation_alone() -> None:
    opened, clicked = token(LINKS.pixel("m1")), token(LINKS.click("m1", 0, "https://a.example"))
    for read, wrong in [(LINKS.read_click, opened), (LINKS.read_unsubscribe, clicked), (OTHER.read_open, opened)]:
        with pytest.raises(InvalidInput):
            read(wrong)


@given(place=st.integers(0, 200), to=st.characters(codec="ascii"))
@settings(max_examples=100, deadline=None)
def test_no_altered_click_redirects(place: int, to: str) -> None:
    good = token(LINKS.click("m1", 0, "https://maple.example/p"))
    place %= len(good)
    altered = good[:place] + to + good[place + 1 :]
    if altered != good:
        with pytest.raises(InvalidInput):
            LINKS.read_click(altered)


def _own(url: str, at: int = 0) -> str:
    link = LINKS.own_page(url, "m1", Instant(at))
    assert link
    return link


def test_what_templates_write_becomes_a_signed_link_of_its_own() -> None:
    now = Instant(5)
    answer = _own(answer_url("nps", "the / question", "a ü/b"))
    assert LINKS.read_answer(token(answer), now) == Answering("m1", "nps", "the / question", "a ü/b")
    form = _own(form_url("club"))
    assert form.startswith("https://mail.example.com/f/club?t=")
    assert LINKS.read_form(form.partition("?t=")[2], now) == FormLink("m1", "club")
    assert LINKS.read_preferences(token(_own(preferences_url("centre")))) == FormLink("m1", "centre")
    for url in (
        "https://shop.example/a/nps/score/9",
        answer_url("a", "b", "c") + "/d",
        "https://pages.mailwright.invalid/x",
    ):
        assert LINKS.own_page(url, "m1", now) is None


def test_links_that_write_end_and_are_the_same_when_made_again() -> None:
    answer = _own(answer_url("nps", "score", 9), at=7)
    assert answer == _own(answer_url("nps", "score", 9), at=7)
    LINKS.read_answer(token(answer), Instant(6 + 60 * DAY))
    with pytest.raises(InvalidInput, match="expired"):
        LINKS.read_answer(token(answer), Instant(7 + 60 * DAY))
    confirm = LINKS.confirm("o1", Instant(10))
    assert LINKS.read_confirm(token(confirm), Instant(9)) == "o1"
    with pytest.raises(InvalidInput, match="expired"):
        LINKS.read_confirm(token(confirm), Instant(10))
    with pytest.raises(InvalidInput, match="not made here"):
        LINKS.read_preferences(token(confirm))
    with pytest.raises(InvalidInput, match="not made here"):
        OTHER.read_confirm(token(confirm), Instant(1))
