"""Whether a domain takes mail, asked of a real name server."""

from __future__ import annotations

import socket

import pytest
from loopback_dns import name_server

from mailwright.stores.dns_mx import DnsMailDomains

ANSWERS = {
    ("mail.example", "MX"): "10 mx.mail.example.",
    ("null.example", "MX"): "0 .",
    ("web.example", "A"): "192.0.2.1",
    ("six.example", "AAAA"): "2001:db8::1",
    ("text.example", "TXT"): '"nothing else"',
}


def asking(port: int, timeout_s: float = 60) -> DnsMailDomains:
    """Asks our server; patient, since a busy machine may hold it up."""
    return DnsMailDomains(["127.0.0.1"], port=port, timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("domain", "takes"),
    [
        ("mail.example", True),
        ("null.example", False),
        ("web.example", True),
        ("six.example", True),
        ("text.example", False),
        ("dead.example", False),
    ],
)
def test_dns_tells_whether_a_domain_takes_mail(domain: str, takes: bool) -> None:
    with name_server(ANSWERS) as (port, _):
        assert asking(port).takes_mail(domain) is takes


def test_an_answer_is_asked_for_once() -> None:
    with name_server(ANSWERS) as (port, asked):
        domains = asking(port)
        assert [domains.takes_mail("mail.example") for _ in range(3)] == [True] * 3
    assert asked == [("mail.example", "MX")]


def test_a_name_server_that_is_silent_is_left_alone_for_a_while() -> None:
    with name_server({("slow.example", "MX"): None}) as (port, asked):
        domains = asking(port, 0.3)
        assert domains.takes_mail("slow.example") is None
        assert domains.takes_mail("other.example") is None
    assert ("other.example", "MX") not in asked  # the server has read by now whatever came


def test_no_name_server_at_all_is_no_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert asking(port, 0.3).takes_mail("mail.example") is None


@pytest.mark.parametrize("domain", ["a" * 70 + ".example", "..", ".".join(["abcdefgh"] * 40)])
def test_a_name_that_dns_cannot_hold_is_no_answer(domain: str) -> None:
    with name_server(ANSWERS) as (port, _):
        assert asking(port).takes_mail(domain) is None


def test_a_name_server_of_a_closed_network_refuses_nobody() -> None:
    with name_server(ANSWERS, of_a_closed_network=True) as (port, _):
        assert asking(port).takes_mail("gmail.com") is None
        assert asking(port).takes_mail("mail.example") is True
