"""A product feed by its address, from a real server to the log: whole or not at all, and only when it is new."""

import gzip
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent.parent
sys.path[:0] = [str(TESTS / "scenarios"), str(TESTS / "servers"), str(TESTS / "contracts"), str(Path(__file__).parent)]

from faulty_http import Asked, FaultyHttp, reply, serving  # noqa: E402
from test_imports_origins import ITEM, RSS  # noqa: E402
from test_imports_sql import Shop  # noqa: E402

from mailwright.core.errors import MailwrightError  # noqa: E402
from mailwright.runtime.imports import feeds  # noqa: E402

FEED = """\
title: The shop's feed
feed: {}
catalog: products
deletes: {{compare: true, then: facts, facts: {{category: gone}}}}
"""
XML = "content-type: application/xml\r\n"


@pytest.fixture
def server() -> Iterator[FaultyHttp]:
    with serving() as http:
        yield http


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("MAILWRIGHT__OUTGOING__ALLOW", "127.0.0.1")
    return Shop(tmp_path / "shop", "sqlite://", monkeypatch)


def rss(*products: tuple[str, str]) -> bytes:
    return RSS.format("".join(ITEM.format(id, title, "3", id) for id, title in products)).encode()


def titles(shop: Shop) -> list[str]:
    return [item.facts["title"] for item in shop.run()]


Answer = Callable[[Asked, Callable[[bytes], None]], None]


def versioned(body: bytes, header: str, asked_by: str, version: str) -> Answer:
    """A server that knows whether its feed is what the client has."""

    def answer(asked: Asked, write: Callable[[bytes], None]) -> None:
        same = asked.headers.get(asked_by) == version
        write(reply(b"", 304) if same else reply(body, 200, f"{XML}{header}: {version}\r\n"))

    return answer


@pytest.mark.parametrize(
    ("header", "asked_by", "versions"),
    [
        ("ETag", "if-none-match", ('"one"', '"two"')),
        ("Last-Modified", "if-modified-since", ("Sun, 01 Nov 2026 04:00:00 GMT", "Mon, 02 Nov 2026 04:00:00 GMT")),
        ("X-None", "x-none", ("", "")),
    ],
)
def test_an_unchanged_feed_is_neither_sent_nor_read(
    shop: Shop, server: FaultyHttp, header: str, asked_by: str, versions: tuple[str, str]
) -> None:
    shop.declare(FEED.format(server.url("/feed.xml")))
    server.answers["/feed.xml"] = versioned(rss(("p1", "Mug"), ("p2", "Cup")), header, asked_by, versions[0])
    assert titles(shop) == ["Mug", "Cup"]
    assert titles(shop) == []
    assert (shop.outcome.found.n_rows, shop.outcome.n_deleted) == (0, 0), "and what it lists is not taken for gone"
    assert server.seen[-1].headers.get(asked_by, "") == versions[0]
    server.answers["/feed.xml"] = versioned(rss(("p1", "Beaker")), header, asked_by, versions[1])
    assert titles(shop) == ["Beaker", "Cup"]
    assert shop.outcome.n_deleted == 1


def test_a_feed_is_read_anew_when_its_fields_mean_something_else(shop: Shop, server: FaultyHttp) -> None:
    shop.declare(FEED.format(server.url("/feed.xml")))
    server.answers["/feed.xml"] = versioned(rss(("p1", "Mug")), "ETag", "if-none-match", '"one"')
    assert "currency" not in shop.run()[0].facts
    catalog = shop.folder / "catalog.yaml"
    catalog.write_text(catalog.read_text().replace("image: text}", "image: text, currency: text}"))
    shop.declare(FEED.format(server.url("/feed.xml")))
    assert shop.run()[0].facts["currency"] == "EUR"


@pytest.mark.parametrize("by", ["address", "file"])
def test_another_feed_for_once_is_not_taken_for_the_declared_one(shop: Shop, server: FaultyHttp, by: str) -> None:
    shop.declare(FEED.format(server.url("/feed.xml")))
    first, header = "Sun, 01 Nov 2026 04:00:00 GMT", "Last-Modified"
    server.answers["/feed.xml"] = versioned(rss(("p1", "Mug")), header, "if-modified-since", first)
    assert titles(shop) == ["Mug"]
    (shop.folder / "old.xml").write_bytes(rss(("p1", "Old mug")))
    later = f"{XML}Last-Modified: Mon, 02 Nov 2026 04:00:00 GMT\r\n"
    server.answers["/old.xml"] = reply(rss(("p1", "Old mug")), 200, later)
    (item,) = shop.run(path="old.xml" if by == "file" else server.url("/old.xml"))
    assert item.facts["title"] == "Old mug"
    assert titles(shop) == ["Mug"], "the declared feed is as it was, but the catalog is not"
    assert "if-modified-since" not in server.seen[-1].headers
    assert titles(shop) == []


def test_a_redirect_is_followed_and_an_error_tells(shop: Shop, server: FaultyHttp) -> None:
    shop.declare(FEED.format(server.url("/feed")))
    server.answers["/feed"] = reply(b"", 302, "Location: /other/products.xml\r\n")
    server.answers["/other/products.xml"] = reply(rss(("p1", "Mug")), 200, XML)
    assert titles(shop) == ["Mug"]
    server.answers["/feed"] = reply(b"", 403)
    with pytest.raises(MailwrightError, match="answered with status 403"):
        shop.run()


BIG = rss(*((f"p{n}", f"Product {n}") for n in range(2_500)))
TSV = b"id\ttitle\tprice\n" + b"".join(b"p%d\tProduct\t3 EUR\n" % n for n in range(2_500))


def raw(head: str, body: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body


NOT_WHOLE = {
    "broken_off": (raw(f"{XML}content-length: {len(BIG)}\r\n", BIG[: len(BIG) // 2]), "broke off its answer"),
    "broken_chunks": (raw(f"{XML}transfer-encoding: chunked\r\n", b"5\r\n<rss>\r\n"), "broke off its answer"),
    "ends_early": (reply(BIG[: len(BIG) // 2], 200, XML), "the XML cannot be read on"),
    "no_length": (raw(XML, BIG[: len(BIG) // 2]), "the XML cannot be read on"),
    "torn_gzip": (reply(gzip.compress(BIG)[:-9], 200, XML), "compressed data ends too early"),
    "table": (raw("content-type: text/tab-separated-values\r\n", TSV[:9_000]), "does not say how long it is"),
    "login": (reply(b"<html>Log in</html>", 200, "content-type: text/html; charset=utf-8\r\n"), "text/html"),
    "as_json": (reply(b"{}", 200, "content-type: application/json\r\n"), "application/json"),
    "too_large": (reply(BIG + b" " * 900_000, 200, XML), "more than 1,000,000 bytes"),
    "bomb": (reply(gzip.compress(BIG + b" " * 4_000_000), 200, XML), "larger than is taken"),
}


def test_a_feed_that_is_not_whole_brings_nothing(
    shop: Shop, server: FaultyHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "FEED_BYTES", 1_000_000)
    (shop.folder / "imports").mkdir()
    for name in NOT_WHOLE:
        text = FEED.format(server.url(f"/{name}")) + "skip_bad: true\n"
        (shop.folder / "imports" / f"{name}.yaml").write_text(text)
    shop.declare(FEED.format(server.url("/feed")))
    for name, (answer, words) in NOT_WHOLE.items():
        server.answers[f"/{name}"] = reply(rss((name, "Mug")), 200, XML)
        assert [item.item_id for item in shop.run(name)] == [name]
        server.answers[f"/{name}"] = answer
        before = shop.last()
        with pytest.raises(MailwrightError, match=words):
            shop.run(name)
        assert shop.last() == before, name
        server.answers[f"/{name}"] = reply(rss((name, "Mug"), (f"{name}2", "Cup")), 200, XML)
        assert [item.item_id for item in shop.run(name)] == [f"{name}2"], "and nothing of it was remembered"


NAMED = RSS.format(ITEM.format("p1", "Žluťoučký šálek", "3", "p1"))
LATIN = RSS.format(ITEM.format("p1", "Dénia ½", "3", "p1"))
TABLE = "id\ttitle\tprice\np1\tDénia ½\t3 EUR\n"
ENCODED = {
    "declared": (f"<?xml version='1.0' encoding='iso-8859-2'?>{NAMED}".encode("iso-8859-2"), "text/xml", "Žluť"),
    "declared_against_header": (
        f"<?xml version='1.0' encoding='utf-8'?>{NAMED}".encode(),
        "text/xml; charset=latin-1",
        "Žluť",
    ),
    "by_header": (LATIN.encode("cp1252"), "text/xml; charset=windows-1252", "Dénia ½"),
    "by_mark": (LATIN.encode("utf-16"), "application/rss+xml", "Dénia ½"),
    "by_definition": (LATIN.encode("cp1252"), "text/xml; charset=no-such", "Dénia ½"),
    "no_text": (LATIN.encode("cp1252"), "text/xml; charset=zlib", "Dénia ½"),
    "packed": (gzip.compress(NAMED.encode()), "application/gzip", "Žluť"),
    "table": (TABLE.encode("cp1252"), "text/plain; charset=cp1252", "Dénia ½"),
}


def test_a_table_is_one_however_its_end_is_written(shop: Shop, server: FaultyHttp) -> None:
    shop.declare(FEED.format(server.url("/FEED.TSV")))
    server.answers["/FEED.TSV"] = raw("content-type: application/octet-stream\r\n", TSV[:9_000])
    with pytest.raises(MailwrightError, match="does not say how long it is"):
        shop.run()


def test_encodings(shop: Shop, server: FaultyHttp) -> None:
    (shop.folder / "imports").mkdir()
    for name, (body, kind, _) in ENCODED.items():
        text = FEED.format(server.url(f"/{name}?format=google"))
        text += "encoding: cp1252\n" if name in ("by_definition", "no_text") else ""
        (shop.folder / "imports" / f"{name}.yaml").write_text(text)
        server.answers[f"/{name}"] = reply(body, 200, f"content-type: {kind}\r\n")
    shop.declare(FEED.format(server.url("/feed")))
    for name, (_, _, title) in ENCODED.items():
        (item,) = shop.run(name)
        assert item.facts["title"].startswith(title), name


@pytest.mark.parametrize("encoding", ["rot13", "zlib", "no-such"])
@pytest.mark.parametrize(
    ("kind", "body"), [("text/xml", LATIN.encode()), ("text/plain", TABLE.encode())], ids=["xml", "table"]
)
def test_what_is_no_encoding_of_text_is_told(
    shop: Shop, server: FaultyHttp, encoding: str, kind: str, body: bytes
) -> None:
    server.answers["/feed"] = reply(body, 200, f"content-type: {kind}; charset={encoding}\r\n")
    shop.declare(FEED.format(server.url("/feed")))
    assert len(shop.run()) == 1, "an answer that names none says nothing of it"
    shop.declare(FEED.format(server.url("/feed")) + f"encoding: {encoding}\n")
    with pytest.raises(MailwrightError, match=f"there is no encoding '{encoding}'"):
        shop.run()
