"""The Fetch port against real servers: what it may ask, how long and how much it takes, what it does about failures."""

import ipaddress
import logging
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from faulty_http import FaultyHttp, reply, serving, zipped

from mailwright.core.errors import InvalidInput, MailwrightError, Permanent, Transient
from mailwright.core.fetching import FetchRequest, ServiceHealth
from mailwright.core.instants import DAY, MINUTE, SECOND, Instant
from mailwright.stores.fetch_guard import Guard, is_public
from mailwright.stores.fetch_httpx import HttpxFetch

NOW = Instant(20_000 * DAY)


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> Instant:
        return self.at

    def move(self, micros: int) -> None:
        self.at = Instant(self.at + micros)


@pytest.fixture
def server():
    with serving() as http:
        yield http


@pytest.fixture
def hands():
    return Hands()


@pytest.fixture
def changes():
    return []


@pytest.fixture(params=["memory", "folder"])
def fetch(request, hands, changes, tmp_path):
    folder = tmp_path / "services" if request.param == "folder" else None
    made = HttpxFetch(Guard(allow=["127.0.0.1"]), hands, on_change=changes.append, folder=folder)
    yield made
    made.close()


def asking(url: str, **more) -> FetchRequest:
    return FetchRequest(service="weather", url=url, **{"timeout_s": 60.0, **more})


def refused(make: Callable[[], object]) -> MailwrightError:
    with pytest.raises((Permanent, Transient)) as caught:
        make()
    return caught.value


# --- answers ---------------------------------------------------------------------------------------------------------


def test_an_answer_is_status_headers_body_and_when(fetch, server, hands):
    server.answers["/a"] = reply(b"hello", 201, "X-One: 1\r\n")
    answer = fetch.fetch(asking(server.url("/a?q=1"), headers={"X-Key": "secret"}))
    assert (answer.status, answer.body, answer.headers["x-one"]) == (201, b"hello", "1")
    assert (answer.at, answer.from_cache, answer.age_s) == (hands.now(), False, 0)
    asked = server.seen[0]
    assert (asked.method, asked.path, asked.headers["x-key"]) == ("GET", "/a?q=1", "secret")
    assert asked.headers["host"] == f"127.0.0.1:{server.port}"
    assert asked.headers["user-agent"] == "Mailwright"


def test_a_body_is_posted_and_any_status_is_an_answer(fetch, server):
    assert fetch.fetch(asking(server.url("/none"), method="POST", body=b"{}")).status == 404
    assert (server.seen[0].method, server.seen[0].body) == ("POST", b"{}")


def test_gzip_is_unpacked(fetch, server):
    server.answers["/z"] = zipped(b"x" * 50_000)
    assert fetch.fetch(asking(server.url("/z"), max_bytes=50_000)).body == b"x" * 50_000


# --- where to --------------------------------------------------------------------------------------------------------

NOT_PUBLIC = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "0.0.0.0",
    "0.1.2.3", "224.0.0.1", "239.255.255.255", "255.255.255.255", "240.0.0.1", "192.0.0.192", "198.18.0.1", "192.0.2.1",
    "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "2002:7f00:1::", "2002:a00:1::1",
    "2001:0:1::1", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::808:808"])
def test_addresses_that_are_public(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://{}/",
        "http://user:pass@example.com/",
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://example.com/",
        "//example.com/",
        "http:///x",
        "http://[::1/",
        "http://example.com:99999/",
        "http://2130706433:x/",
        "http://example.com/a b",
        "http://example.com/\r\nX: y",
        "http://example.com:22/",
        "https://example.com:6379/",
        "",
    ],
)
def test_what_is_never_asked(hands, url):
    guarded = HttpxFetch(Guard(resolver=lambda host: ["93.184.216.34"]), hands)
    for each in [url.format(one if ":" not in one else f"[{one}]") for one in NOT_PUBLIC] if "{}" in url else [url]:
        assert refused(lambda each=each: guarded.fetch(asking(each))).code == "fetch.refused", each
    guarded.close()


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "localhost", "017700000001", "0"])
def test_other_spellings_of_this_machine_are_refused(hands, host):
    guarded = HttpxFetch(Guard(), hands)
    assert refused(lambda: guarded.fetch(asking(f"http://{host}/"))).code in ("fetch.refused", "fetch.failed")
    guarded.close()


@contextmanager
def serving_at_one_port(one: str, other: str) -> Iterator[tuple[FaultyHttp, FaultyHttp]]:
    """Servers on two addresses; a port that is free on the first may be anybody's on the other."""
    for _ in range(20):
        with ExitStack() as servers:
            first = servers.enter_context(serving(one))
            try:
                second = servers.enter_context(serving(other, first.port))
            except OSError:
                continue
            yield first, second
            return
    raise AssertionError("no port is free on both")


def test_a_name_is_resolved_once_and_the_checked_address_is_asked(hands):
    """DNS rebinding: the second answer of the resolver would lead to a place that is not allowed."""
    told = []

    def rebinding(host: str) -> list[str]:
        told.append(host)
        return ["127.0.0.2"] if len(told) == 1 else ["127.0.0.1"]

    with serving_at_one_port("127.0.0.2", "127.0.0.1") as (good, bad):
        good.answers["/"] = reply(b"good")
        bad.answers["/"] = reply(b"bad")
        made = HttpxFetch(Guard(allow=["127.0.0.2/32"], resolver=rebinding), hands)
        assert made.fetch(asking(good.url("/", "shop.test"))).body == b"good"
        assert (told, bad.seen) == (["shop.test"], [])
        assert good.seen[0].headers["host"] == f"shop.test:{good.port}"
        assert refused(lambda: made.fetch(asking(good.url("/", "shop.test")))).code == "fetch.refused"
        assert bad.seen == []
        made.close()


def test_of_several_addresses_only_allowed_ones_are_tried(hands, server):
    server.answers["/"] = reply(b"ok")
    resolver = lambda host: ["127.0.0.3", "127.0.0.1"]  # noqa: E731 - nobody listens on the first
    made = HttpxFetch(Guard(allow=["127.0.0.0/8"], resolver=resolver), hands)
    assert made.fetch(asking(server.url("/", "shop.test"))).body == b"ok"
    made.close()


@pytest.mark.parametrize("entry", ["shop.test", "SHOP.test:{port}", "127.0.0.1", "127.0.0.1:{port}", "127.0.0.0/8"])
def test_own_hosts_are_allowed_by_name_address_or_network(hands, server, entry):
    server.answers["/"] = reply(b"ok")
    guard = Guard(allow=[entry.format(port=server.port).replace("SHOP", "shop")], resolver=lambda host: ["127.0.0.1"])
    made = HttpxFetch(guard, hands)
    assert made.fetch(asking(server.url("/", "shop.test"))).status == 200
    made.close()


@pytest.mark.parametrize("entry", ["other.test", "shop.test:1", "127.0.0.1:1", "10.0.0.0/8", "::1", "[::1]:80"])
def test_other_entries_allow_nothing(hands, server, entry):
    made = HttpxFetch(Guard(allow=[entry], resolver=lambda host: ["127.0.0.1"]), hands)
    assert refused(lambda: made.fetch(asking(server.url("/", "shop.test")))).code == "fetch.refused"
    assert server.seen == []
    made.close()


def test_a_network_that_is_none_is_told():
    with pytest.raises(InvalidInput, match=r"10\.1\.0\.0/99"):
        Guard(allow=["10.1.0.0/99"])


def test_a_name_without_address_is_told(hands):
    def nothing(host: str) -> list[str]:
        raise OSError("no such name")

    made = HttpxFetch(Guard(resolver=nothing), hands)
    assert refused(lambda: made.fetch(asking("http://nowhere.test/"))).code == "fetch.failed"
    made.close()


# --- redirects -------------------------------------------------------------------------------------------------------


def test_redirects_are_followed_three_times(fetch, server):
    for n in range(4):
        server.answers[f"/{n}"] = reply(b"", 302, f"Location: /{n + 1}\r\n")
    server.answers["/4"] = reply(b"end")
    assert fetch.fetch(asking(server.url("/1"))).body == b"end"
    assert refused(lambda: fetch.fetch(asking(server.url("/0")))).code == "fetch.refused"


def test_a_redirect_is_checked_like_the_first_address(hands, server):
    """The name may be asked; what it redirects to, though the same machine, may not."""
    made = HttpxFetch(Guard(allow=["shop.test"], resolver=lambda host: ["127.0.0.1"]), hands)
    server.answers["/secret"] = reply(b"secret")
    for to in (server.url("/secret"), "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd"):
        server.answers["/go"] = reply(b"", 302, f"Location: {to}\r\n")
        assert refused(lambda: made.fetch(asking(server.url("/go", "shop.test")))).code == "fetch.refused"
    assert {asked.path for asked in server.seen} == {"/go"}
    made.close()


def test_another_host_gets_no_key(fetch, server):
    with serving("127.0.0.1") as other:
        other.answers["/x"] = reply(b"ok")
        server.answers["/go"] = reply(b"", 307, f"Location: {other.url('/x')}\r\n")
        server.answers["/here"] = reply(b"", 307, "Location: /go\r\n")
        headers = {"Authorization": "Bearer secret", "X-Api-Key": "secret", "Accept": "application/json"}
        assert fetch.fetch(asking(server.url("/here"), headers=headers)).body == b"ok"
        assert server.seen[1].headers["x-api-key"] == "secret"
        assert "secret" not in str(other.seen[0].headers)
        assert other.seen[0].headers["accept"] == "application/json"


def test_a_post_is_not_redirected(fetch, server):
    server.answers["/go"] = reply(b"", 302, "Location: /x\r\n")
    assert fetch.fetch(asking(server.url("/go"), method="POST", body=b"x")).status == 302


# --- how long, how much ----------------------------------------------------------------------------------------------


def _dripping(start: bytes) -> Callable[..., None]:
    def drip(server: FaultyHttp) -> Callable[..., None]:
        def answer(asked: object, write: Callable[[bytes], None]) -> None:
            write(start)
            while not server.over.wait(0.05):
                write(b"x")

        return answer

    return drip


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"]
)
def test_a_server_that_drips_is_left_at_the_deadline(fetch, server, start):
    server.answers["/slow"] = _dripping(start)(server)
    error = refused(lambda: fetch.fetch(asking(server.url("/slow"), timeout_s=0.4)))
    assert (error.code, "in time" in error.message) == ("fetch.failed", True)


def test_a_server_that_hangs_is_left_at_the_deadline(fetch, server):
    server.answers["/hang"] = lambda asked, write: server.over.wait(120)
    assert "in time" in refused(lambda: fetch.fetch(asking(server.url("/hang"), timeout_s=0.3))).message


def test_a_gzip_bomb_is_left_unpacked(fetch, server):
    server.answers["/bomb"] = zipped(bytes(200_000_000))
    assert refused(lambda: fetch.fetch(asking(server.url("/bomb")))).code == "fetch.too_large"


def test_a_body_without_end_is_cut(fetch, server):
    def endless(asked: object, write: Callable[[bytes], None]) -> None:
        write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.over.is_set():
            write(b"x" * 65_536)

    server.answers["/endless"] = endless
    assert refused(lambda: fetch.fetch(asking(server.url("/endless")))).code == "fetch.too_large"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        reply(b"no gzip", 200, "content-encoding: gzip\r\n"),
        reply(zipped(b"x" * 9_000).partition(b"\r\n\r\n")[2][:-12], 200, "content-encoding: gzip\r\n"),
        reply(b"?", 200, "content-encoding: br\r\n"),
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 500_000 + b"\r\n\r\n",
    ],
)
def test_broken_answers_are_transient(fetch, server, answer):
    server.answers["/broken"] = answer
    assert refused(lambda: fetch.fetch(asking(server.url("/broken")))).code == "fetch.failed"


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    """Certificate and key for shop.test, signed by itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2099, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return pem, secret


def test_certificates_are_checked_for_the_name_that_was_asked(hands, certificate):
    def resolver(host: str) -> list[str]:
        return ["127.0.0.1"]

    guard = Guard(allow=["127.0.0.1"], resolver=resolver)
    with serving(tls=certificate) as server:
        server.answers["/"] = reply(b"secure")
        made = HttpxFetch(guard, hands, certificates=str(certificate[0]))
        assert made.fetch(asking(server.url("/", "shop.test", "https"))).body == b"secure"
        wrong = refused(lambda: made.fetch(asking(server.url("/", "other.test", "https"))))
        distrusting = HttpxFetch(guard, hands)
        unknown = refused(lambda: distrusting.fetch(asking(server.url("/", "shop.test", "https"))))
        server.answers["/down"] = reply(b"", 302, f"Location: {server.url('/')}\r\n")
        down = refused(lambda: made.fetch(asking(server.url("/down", "shop.test", "https"))))
        made.close()
    assert "certificate" in wrong.message
    assert "certificate" in unknown.message
    assert down.code == "fetch.refused"


# --- budget, breaker, cache ------------------------------------------------------------------------------------------


def test_no_more_than_the_budget_in_any_minute(fetch, server, hands):
    server.answers["/"] = reply(b"ok")
    asked = asking(server.url("/"), per_minute=2)
    fetch.fetch(asked)
    hands.move(30 * SECOND)
    fetch.fetch(asked)
    hands.move(29 * SECOND)
    assert refused(lambda: fetch.fetch(asked)).code == "fetch.budget"
    hands.move(SECOND)
    fetch.fetch(asked)
    assert refused(lambda: fetch.fetch(asked)).code == "fetch.budget"
    assert fetch.fetch(FetchRequest(service="other", url=server.url("/"), per_minute=1)).status == 200
    assert len(server.seen) == 4


def test_five_failures_pause_a_service_then_one_probe_decides(fetch, server, hands, changes):
    server.answers["/"] = reply(b"oh", 500)
    asked = asking(server.url("/"))
    for _ in range(5):
        assert fetch.fetch(asked).status == 500
    paused = refused(lambda: fetch.fetch(asked))
    assert (paused.code, "30 s" in paused.message, len(server.seen)) == ("fetch.paused", True, 5)
    hands.move(30 * SECOND)
    assert fetch.fetch(asked).status == 500  # the probe
    assert "60 s" in refused(lambda: fetch.fetch(asked)).message
    hands.move(MINUTE)
    server.answers["/"] = reply(b"well")
    assert fetch.fetch(asked).body == b"well"
    assert fetch.fetch(asked).body == b"well"
    assert [change.state for change in changes] == [*["failing"] * 4, "paused", "paused", "well"]
    assert changes[-1] == ServiceHealth(service="weather", state="well")


def test_while_the_probe_is_out_nobody_else_asks(fetch, server, hands):
    server.answers["/"] = reply(b"", 503)
    for _ in range(5):
        fetch.fetch(asking(server.url("/")))
    hands.move(30 * SECOND)
    reached, go_on = threading.Event(), threading.Event()

    def waiting(asked: object, write: Callable[[bytes], None]) -> None:
        reached.set()
        go_on.wait(60)
        write(reply(b"back"))

    server.answers["/"] = waiting
    answers = []
    probe = threading.Thread(target=lambda: answers.append(fetch.fetch(asking(server.url("/"))).body))
    probe.start()
    assert reached.wait(60)
    assert refused(lambda: fetch.fetch(asking(server.url("/")))).code == "fetch.paused"
    go_on.set()
    probe.join()
    assert answers == [b"back"]


@pytest.mark.parametrize(("told", "seconds"), [("7", 7), ("Thu, 04 Oct 2024 00:00:09 GMT", 9), ("999999", 3600)])
def test_a_service_may_ask_for_a_pause_itself(fetch, server, hands, told, seconds):
    server.answers["/"] = reply(b"", 429, f"Retry-After: {told}\r\n")
    assert fetch.fetch(asking(server.url("/"))).status == 429
    server.answers["/"] = reply(b"ok")
    hands.move(seconds * SECOND - 1)
    assert refused(lambda: fetch.fetch(asking(server.url("/")))).code == "fetch.paused"
    hands.move(1)
    assert fetch.fetch(asking(server.url("/"))).status == 200


def test_a_request_at_fault_says_nothing_of_the_service(fetch, server):
    server.answers["/big"] = reply(b"x" * 100)
    for _ in range(6):
        assert refused(lambda: fetch.fetch(asking(server.url("/big"), max_bytes=10))).code == "fetch.too_large"
    assert fetch.services.health("weather").state == "well"


def test_answers_are_remembered_as_declared(fetch, server, hands):
    server.answers["/"] = reply(b"rain")
    asked = asking(server.url("/"), fresh_s=60, stale_s=3600)
    assert not fetch.fetch(asked).from_cache
    hands.move(60 * SECOND)
    again = fetch.fetch(asked)
    assert (again.from_cache, again.age_s, again.body) == (True, 60, b"rain")
    hands.move(1)
    server.answers["/"] = reply(b"", 500)
    assert fetch.fetch(asked).body == b"rain"  # stale, for the service is down
    hands.move(3600 * SECOND)
    assert fetch.fetch(asked).status == 500
    assert len(server.seen) == 3
    assert fetch.fetch(asking(server.url("/"), fresh_s=60, headers={"x-key": "other"})).status == 500


def test_a_dead_service_gives_its_last_answer(hands, fetch):
    with serving() as server:
        server.answers["/"] = reply(b"rain")
        asked = asking(server.url("/"), fresh_s=1, stale_s=3600)
        fetch.fetch(asked)
    hands.move(2 * SECOND)
    with socket.socket() as held:  # so that nobody else answers at its port
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", server.port))
        for _ in range(7):
            assert fetch.fetch(asked).body == b"rain"
    assert fetch.services.health("weather").state == "paused"


def test_nothing_secret_is_logged_or_told(fetch, server, caplog):
    caplog.set_level(logging.DEBUG)
    server.answers["/broken/ada@example.com"] = b"nonsense"
    server.answers["/fine"] = reply(b"secret")
    url = server.url("/broken/ada@example.com?email=ada@example.com&key=secret")
    error = refused(lambda: fetch.fetch(asking(url, headers={"x-key": "secret"})))
    fetch.fetch(asking(server.url("/fine?key=secret"), headers={"x-key": "secret"}))
    told = str(error) + repr(error) + repr(fetch.services.health("weather"))
    told += " ".join(record.getMessage() for record in caplog.records if not record.name.startswith("httpcore"))
    assert "ada" not in told
    assert "secret" not in told
    assert not [record for record in caplog.records if record.name.startswith("http") and record.levelno < 30]


# --- processes that share a folder ------------------------------------------------------------------------------------


def shared(folder: Path, hands: Hands) -> HttpxFetch:
    return HttpxFetch(Guard(allow=["127.0.0.1"]), hands, folder=folder)


def test_two_processes_have_one_budget(server, tmp_path):
    server.answers["/"] = reply(b"well")
    command = [sys.executable, str(Path(__file__).with_name("asker.py")), str(tmp_path / "services"), server.url("/")]
    askers = [subprocess.Popen([*command, "12", "9"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    for each in askers:
        assert each.stdout.readline() == b"ready\n"
    for each in askers:  # both at once
        each.stdin.write(b"go\n")
        each.stdin.flush()
    told = b"".join(each.communicate(timeout=240)[0] for each in askers).split()
    assert (told.count(b"200"), told.count(b"fetch.budget"), len(server.seen)) == (9, 15, 9)


def test_what_one_process_learns_of_a_service_holds_for_the_others_and_survives_them(server, hands, tmp_path):
    server.answers["/"] = reply(b"", 503, "Retry-After: 40\r\n")
    first, second = (shared(tmp_path / "services", hands) for _ in range(2))
    assert first.fetch(asking(server.url("/"))).status == 503
    assert refused(lambda: second.fetch(asking(server.url("/")))).code == "fetch.paused"
    hands.move(40 * SECOND)
    first.services.begin("weather", 60)  # a probe whose process dies
    assert refused(lambda: second.fetch(asking(server.url("/")))).code == "fetch.paused"
    hands.move(MINUTE)
    server.answers["/"] = reply(b"well")
    assert second.fetch(asking(server.url("/"))).body == b"well"
    assert shared(tmp_path / "services", hands).services.health("weather").state == "well"


def test_a_broken_file_and_a_clock_that_was_set_back_stop_nobody(server, hands, tmp_path):
    server.answers["/"] = reply(b"", 429, "Retry-After: 3600\r\n")
    fetch = shared(tmp_path / "services", hands)
    fetch.fetch(asking(server.url("/"), per_minute=1))
    hands.move(-DAY)
    server.answers["/"] = reply(b"well")
    assert fetch.fetch(asking(server.url("/"), per_minute=1)).body == b"well"
    (path,) = (tmp_path / "services").iterdir()
    for torn in (b"\xff", path.read_bytes()[:-3], b"\x86\xa5asked\xc4\x01x"):
        path.write_bytes(torn)
        assert fetch.fetch(asking(server.url("/"), per_minute=1)).body == b"well"


def test_a_probe_of_a_clock_that_was_set_back_holds_up_nobody(server, hands, tmp_path):
    server.answers["/"] = reply(b"", 503, "Retry-After: 40\r\n")
    fetch = shared(tmp_path / "services", hands)
    fetch.fetch(asking(server.url("/")))
    hands.move(40 * SECOND)
    fetch.services.begin("weather", 60)  # a probe whose process dies
    hands.move(-DAY)
    server.answers["/"] = reply(b"well")
    assert fetch.fetch(asking(server.url("/"))).body == b"well"


def test_an_answer_is_not_lost_where_its_state_cannot_be_kept(server, hands, tmp_path):
    folder = tmp_path / "services"

    def spoiling(asked: object, write: Callable[[bytes], None]) -> None:
        shutil.rmtree(folder)
        folder.write_text("no folder")
        write(reply(b"well"))

    server.answers["/"] = spoiling
    assert shared(folder, hands).fetch(asking(server.url("/"))).body == b"well"


def test_where_the_budget_cannot_be_kept_nothing_is_asked(server, hands, tmp_path):
    (tmp_path / "services").write_text("no folder")
    fetch = shared(tmp_path / "services", hands)
    assert "budget cannot be kept" in refused(lambda: fetch.fetch(asking(server.url("/")))).message
    assert server.seen == []
