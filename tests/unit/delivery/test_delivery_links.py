"""Signed links: what comes back is what was put in, and nothing else is taken."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput
from mailwright.delivery.links import Clicked, MailLinks, Opened, Unsubscribing
from mailwright.privacy.keys import KeyRing
from mailwright.privacy.tokens import Tokens

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
