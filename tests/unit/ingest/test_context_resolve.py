"""A context becomes facts; what was sent wins."""

import pytest

from mailwright.core.errors import InvalidInput
from mailwright.core.places import Place
from mailwright.ingest.context.addresses import client_address, networks, read_address, truncated
from mailwright.ingest.context.resolve import ContextResolver

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1"
)
NEW_YORK = Place(country="US", region="New York", region_code="NY", city="New York", time_zone="America/New_York")


class Known:
    """Everybody lives in New York; counts how often it is asked."""

    version = 0
    asked = 0

    def find(self, address):
        self.asked += 1
        return NEW_YORK


def resolved(context, places=None, **options):
    return ContextResolver(places or Known(), **options)(context)


def test_an_address_gives_place_country_and_zone():
    sent = {"ip": "198.51.100.77"}
    found = resolved(sent)
    assert found["geo"] == {
        "country": "US",
        "region": "New York",
        "region_code": "NY",
        "city": "New York",
        "time_zone": "America/New_York",
    }
    assert (found["timezone"], found["country"], found["ip"]) == ("America/New_York", "US", "198.51.100.0")
    assert sent == {"ip": "198.51.100.77"}


@pytest.mark.parametrize(
    ("keep", "address", "kept"),
    [
        ("truncated", "198.51.100.77", "198.51.100.0"),
        ("truncated", "2001:db8:1:2:3::9", "2001:db8:1::"),
        ("truncated", "::ffff:198.51.100.77", "198.51.100.0"),
        ("truncated", "fe80::1%eth0", "fe80::"),
        ("truncated", "no address", "no address"),
        ("whole", "198.51.100.77", "198.51.100.77"),
        ("dropped", "198.51.100.77", None),
    ],
)
def test_an_address_is_cut_after_the_look(keep, address, kept):
    assert resolved({"ip": address}, keep_ip=keep).get("ip") == kept


def test_what_was_sent_wins():
    sent = {
        "ip": "198.51.100.77",
        "geo": {"city": "Boston"},
        "timezone": "Europe/Vienna",
        "locale": "de-AT",
        "language": "fr",
        "country": "CH",
        "userAgent": PHONE,
        "device": {"type": "kiosk"},
        "os": {"name": "Android", "version": "14"},
        "traffic_source": "poster",
        "page": {"url": "https://shop.example/?utm_source=a&utm_medium=email"},
        "campaign": {"source": "b"},
    }
    found = resolved(sent)
    for key in ("geo", "timezone", "language", "country", "traffic_source", "campaign", "os"):
        assert found[key] == sent[key], key
    assert found["device"] == {"type": "kiosk", "brand": "Apple", "model": "iPhone"}
    assert "traffic_name" not in found


def test_a_sent_location_is_the_place():
    assert resolved({"ip": "198.51.100.7", "location": {"city": "Rome", "country": "IT"}})["geo"]["city"] == "Rome"
    assert resolved({"ip": "198.51.100.7", "location": {"city": ""}})["geo"]["city"] == "New York"


@pytest.mark.parametrize(
    ("sent", "device", "os"),
    [
        ({"type": "ios", "model": "iPhone15,2", "manufacturer": "Apple"}, ("mobile", "Apple"), "iOS"),
        ({"type": "ios", "model": "iPad13,4"}, ("tablet", None), "iOS"),
        ({"type": "Android", "manufacturer": "Google"}, ("mobile", "Google"), "Android"),
        ({"type": "smartphone"}, ("mobile", None), None),
        ({"type": "tablet", "brand": "X", "manufacturer": "Y"}, ("tablet", "X"), None),
    ],
)
def test_devices_of_mobile_libraries_are_told_in_our_words(sent, device, os):
    found = resolved({"device": sent})
    assert (found["device"]["type"], found["device"].get("brand")) == device
    assert found.get("os", {}).get("name") == os


@pytest.mark.parametrize(
    ("locale", "language", "country"),
    [
        ("de-AT", "de", "AT"),
        ("en_US.UTF-8", "en", "US"),
        ("zh-Hant-TW", "zh", "TW"),
        ("fr", "fr", None),
        ("de_DE@euro", "de", "DE"),
        ("C", None, None),
        ("x" * 500, None, None),
    ],
)
def test_a_locale_is_language_and_country(locale, language, country):
    found = resolved({"locale": locale})
    assert (found.get("language"), found.get("country")) == (language, country)


def test_a_server_s_plain_context_stays_the_same_object():
    sent = {"library": {"name": "analytics-python"}}
    assert resolved(sent) is sent
    assert resolved({}) == {}


@pytest.mark.parametrize(
    "context",
    [
        {"ip": 7, "userAgent": [], "locale": {}, "page": [], "device": "x", "os": 3, "campaign": "y", "geo": 1},
        {"userAgentData": {"platform": "Android"}, "os": "x", "device": []},
        {"page": {"url": 3, "referrer": {}, "search": 1}, "referrer": {"url": 9}},
        {"location": [], "userAgent": "", "locale": ""},
    ],
)
def test_a_context_of_a_wrong_shape_is_left_as_it_is(context):
    found = resolved(context)
    assert {key: found[key] for key in context if key not in ("os", "device")} == {
        key: context[key] for key in context if key not in ("os", "device")
    }


def test_a_place_is_looked_up_once_until_the_file_changes():
    places = Known()
    resolver = ContextResolver(places)
    for _ in range(3):
        resolver({"ip": "198.51.100.77"})
    assert places.asked == 1
    places.version = 1
    resolver({"ip": "198.51.100.77"})
    assert places.asked == 2


# --- addresses ---

PROXIES = networks(["10.0.0.0/8", "::1"], "")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),  # not a proxy of ours: it may say what it likes
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, garbage, 10.0.0.2", "10.0.0.2"),
        ("::1", "203.0.113.9:4711", "203.0.113.9"),
        ("::1", "[2001:db8::7]:443", "2001:db8::7"),
    ],
)
def test_only_trusted_proxies_tell_whose_a_request_is(peer, forwarded, client):
    assert client_address(peer, forwarded, PROXIES) == client


def test_without_trusted_proxies_the_header_counts_nothing():
    assert client_address("10.0.0.1", "203.0.113.9", ()) == "10.0.0.1"


def test_a_network_that_is_none_is_told():
    with pytest.raises(InvalidInput, match="neither an address nor a network"):
        networks(["10.0.0.0/33"], "mailwright.toml")


def test_truncated_addresses_are_shared():
    assert truncated(read_address("198.51.100.255")) == "198.51.100.0"
    assert truncated(read_address("2001:db8:ffff:ffff::1")) == "2001:db8:ffff::"
