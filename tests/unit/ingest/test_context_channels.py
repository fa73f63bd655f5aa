"""What brought a visit."""

import pytest

from mailwright.ingest.context.channels import OUR_CLICK, ChannelDefinition, Traffic, campaign_of, traffic_of, visit_of

SHOP = "https://www.shop.example"


def traffic(url="/", referrer="", own=(), **more):
    page = {"url": SHOP + url, **({"referrer": referrer} if referrer else {})}
    return traffic_of(visit_of({"page": page, **more}), own)


@pytest.mark.parametrize(
    ("url", "referrer", "channel", "name"),
    [
        ("/", "", "direct", ""),
        ("/", "https://www.google.com/", "organic_search", "google"),
        ("/", "https://www.google.co.uk/search", "organic_search", "google"),
        ("/", "https://search.yahoo.com/", "organic_search", "yahoo"),
        ("/", "https://duckduckgo.com/", "organic_search", "duckduckgo"),
        ("/", "https://l.facebook.com/l.php", "social", "facebook"),
        ("/", "https://t.co/abc", "social", "x"),
        ("/", "https://mail.google.com/", "email", "gmail"),
        ("/", "android-app://com.google.android.gm/", "email", "gmail"),
        ("/", "https://blog.example.org/post", "referral", "blog.example.org"),
        ("/", "https://notgoogle.example.org/", "referral", "notgoogle.example.org"),
        ("/?gclid=abc", "https://www.google.com/", "paid_search", "google"),
        ("/?msclkid=abc", "https://www.bing.com/", "paid_search", "bing"),
        ("/?dclid=1", "", "display", "google"),
        ("/?ttclid=1", "", "paid_social", "tiktok"),
        ("/?fbclid=1", "https://facebook.com/", "social", "facebook"),
        ("/?utm_source=google&utm_medium=cpc", "https://www.google.com/", "paid_search", "google"),
        ("/?utm_source=facebook&utm_medium=cpc", "https://facebook.com/", "paid_social", "facebook"),
        ("/?utm_source=facebook", "", "social", "facebook"),
        ("/?utm_source=spring&utm_medium=Email", "", "email", "spring"),
        ("/?utm_source=newsletter", "", "email", "newsletter"),
        ("/?utm_source=news.example&utm_medium=banner", "", "display", "news.example"),
        ("/?utm_source=x&utm_medium=affiliate", "", "affiliate", "x"),
        ("/?utm_source=google", "", "organic_search", "google"),
        ("/?utm_source=whoever&utm_medium=carrier-pigeon", "", "referral", "whoever"),
        (f"/?{OUR_CLICK}=tok", "https://www.google.com/", "email", "mailwright"),
        (f"/?{OUR_CLICK}=tok&utm_source=spring&utm_medium=cpc", "", "email", "spring"),
    ],
)
def test_a_visit_has_a_channel(url, referrer, channel, name):
    assert traffic(url, referrer) == Traffic(channel, name)


@pytest.mark.parametrize("referrer", [SHOP + "/basket", "https://shop.example/", "https://help.shop.example/"])
def test_a_page_of_the_same_site_brings_nobody(referrer):
    assert traffic("/x", referrer) is None


def test_sites_below_a_country_s_second_level_are_told_apart():
    page = {"url": "https://shop.co.uk/", "referrer": "https://other.co.uk/"}
    assert traffic_of(visit_of({"page": page})) == Traffic("referral", "other.co.uk")


def test_without_a_page_nothing_is_known():
    assert traffic_of(visit_of({})) is None
    assert traffic_of(visit_of({"page": "x", "referrer": 3, "campaign": []})) is None


def test_a_campaign_is_taken_as_sent_else_from_the_address():
    assert campaign_of({"campaign": {"name": "May", "n": 1}, "page": {"search": "?utm_campaign=June"}}) == {
        "name": "May"
    }
    search = "?utm_campaign=June&utm_source=a&utm_medium=b&utm_term=c%20d&utm_content=e&utm_id=f&utm_x=g"
    told = {"name": "June", "source": "a", "medium": "b", "term": "c d", "content": "e", "id": "f"}
    assert campaign_of({"page": {"search": search}}) == told
    assert campaign_of({"page": {"url": SHOP + "/" + search + "#utm_source=z"}}) == told
    assert campaign_of({"page": {"url": SHOP + "/"}}) == {}


def test_own_rules_come_first_and_every_condition_must_hold():
    rules = [
        ChannelDefinition(channel="affiliate", source="Bon", utm_source=("bon*",), utm_medium=("deal",)),
        ChannelDefinition(channel="podcast", referrer=("pod.example",)),
        ChannelDefinition(channel="print", parameter=("qr",)),
    ]
    assert traffic("/?utm_source=BonBon&utm_medium=deal", own=rules) == Traffic("affiliate", "Bon")
    assert traffic("/?utm_source=bon&utm_medium=cpc", own=rules) == Traffic("paid_search", "bon")
    assert traffic("/", "https://www.pod.example/e1", own=rules) == Traffic("podcast", "pod.example")
    assert traffic("/", "https://notpod.example/e1", own=rules) == Traffic("referral", "notpod.example")
    assert traffic("/?QR=1", own=rules) == Traffic("print", "")


def test_a_rule_without_a_condition_is_refused():
    assert ChannelDefinition(channel="x").check("channels.yaml: x")
    assert not ChannelDefinition(channel="x", parameter=("a",)).check("channels.yaml: x")


@pytest.mark.parametrize("url", ["http://[", "//", "?" + "a=1&" * 500, "http://ex ample/?utm_source=%ff%00", "\ud800"])
def test_a_broken_address_says_nothing_or_little(url):
    found = traffic_of(visit_of({"page": {"url": url, "referrer": url}}))
    assert found is None or found.channel.encode(), "nothing, or a channel that can be stored"
