"""A product feed as the origin of an import: a file, or an address that is asked whether it has anything new."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from io import BytesIO
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

import msgspec

from mailwright.core.errors import InvalidInput, NotFound, Permanent, Transient
from mailwright.core.fetching import FetchAnswer, FetchRequest
from mailwright.ingest.mapping import Cell, RowMapping
from mailwright.ingest.packed import packing_of, packing_of_bytes, unpacked
from mailwright.ingest.product_feed import ALIASES, FIELDS, read_feed
from mailwright.runtime.imports.state import FeedSeen

if TYPE_CHECKING:
    from mailwright.runtime.imports.origins import Reading

FEED_BYTES = 200_000_000
"""The largest feed that is fetched, and four times as much the largest once it is unpacked."""

_FEED_S = 300.0
_NO_FEED = ("text/html", "application/xhtml+xml", "application/json", "application/pdf", "image/", "audio/", "video/")
_TABLES = ("text/tab-separated-values", "text/plain", "text/csv")


def read_feed_origin(reading: Reading) -> None:
    """Read the products of a feed; one that is as it was at the newest run is not read again.

    Raises:
        NotFound: If there is no such file.
        InvalidInput: If it is no feed, or not whole: then nothing comes in.
        Permanent: If it is too large.
        Transient: ``import.feed``, ``fetch.failed``, ... if no feed was got.
    """
    feed = reading.path or reading.definition.feed
    if reading.path:  # what it brings is not what the declared feed says: that is read anew then
        reading.state = msgspec.structs.replace(reading.state, feed=None)
    mapping = _mapping(reading)
    if not feed.startswith(("http://", "https://")):
        path = reading.there.settings.folder / feed
        if not path.is_file():
            raise NotFound("import.file", f"there is no file {path}")
        with path.open("rb") as stream:
            _take(reading, mapping, path.name, unpacked(stream, packing_of(path.name)), reading.definition.encoding)
        return
    got = _got(reading, feed, mapping)
    if got is not None:
        whole = unpacked(BytesIO(got.body), packing_of_bytes(got.body))
        bounded = io.BufferedReader(_Bounded(whole, 4 * FEED_BYTES))
        _take(reading, mapping, got.name, bounded, reading.definition.encoding or got.charset)
        reading.state = msgspec.structs.replace(reading.state, feed=None if reading.path else got.seen)


def _take(reading: Reading, mapping: RowMapping, name: str, stream: BinaryIO, encoding: str) -> None:
    plain = name[: -len(packing_of(name)) - 1] if packing_of(name) else name
    reading.intake.kind = "item"
    table = reading.table(mapping)
    rows = read_feed(stream, plain, reading.intake.unreadable, encoding=encoding)
    reading.intake.prefix = f"{PurePath(name).name}: "
    reading.intake.take(rows, reading.reported(table, mapping, None))
    reading.end_table(table, whole=True)


# --- what becomes of it ----------------------------------------------------------------------------------------------


def _mapping(reading: Reading) -> RowMapping:
    columns = reading.definition.columns or _columns(reading)
    mapping = reading.definition.mapping(reading.project.zone.key, columns)
    if mapping.catalog:
        return mapping
    return msgspec.structs.replace(mapping, catalog=next(iter(reading.project.catalogs), ""))


def _columns(reading: Reading) -> dict[str, str | Cell]:
    """Each fact of the catalog is filled by the field of its name, or by that which is usual for it."""
    name = reading.definition.catalog or next(iter(reading.project.catalogs), "")
    if name not in reading.project.catalogs:
        raise InvalidInput.one("import.columns", "the project has no catalog to fill", path=reading.name)
    facts = reading.project.catalogs[name].facts
    columns: dict[str, str | Cell] = {"id": "item_id"}
    for fact in facts:
        field = fact if fact in FIELDS else ALIASES.get(fact, fact)
        if field not in columns:
            columns[field] = f"facts.{fact}"
    return columns


# --- an address ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Got:
    """A feed that is new. `name` tells its format by its end; `charset` is what its answer said of it."""

    body: bytes
    name: str
    charset: str
    seen: FeedSeen


def _got(reading: Reading, feed: str, mapping: RowMapping) -> _Got | None:
    """The feed, or None if it is as it was. A rehearsal, or another address for once, always reads it."""
    catalog = reading.project.catalogs.get(mapping.catalog)
    meaning = hashlib.sha256(msgspec.json.encode([mapping, catalog], order="deterministic")).hexdigest()[:16]
    known = reading.state.feed
    if known is None or known.meaning != meaning or reading.wants_reports:
        known = FeedSeen(meaning=meaning)
    answer = reading.there.fetch.fetch(
        FetchRequest(
            service=f"import:{reading.name}",
            url=feed,
            headers=_conditions(known),
            timeout_s=_FEED_S,
            max_bytes=FEED_BYTES,
            per_minute=10,
        )
    )
    if answer.status == 304 and known.digest:
        return None
    if not 200 <= answer.status < 300:
        raise _no_feed(reading.name, f"answered with status {answer.status}")
    digest = hashlib.sha256(answer.body).hexdigest()
    if digest == known.digest:
        return None
    kind, charset = _content_type(answer.headers)
    if kind.startswith(_NO_FEED):
        raise _no_feed(reading.name, f"answered with {kind}, which is no feed")
    name = _name(feed, kind)
    if name.lower().endswith(_TABLE_ENDS) and not _is_delimited(answer):
        raise _no_feed(reading.name, "does not say how long it is: a table that broke off would look whole")
    told = answer.headers
    seen = FeedSeen(meaning=meaning, digest=digest, etag=told.get("etag", ""), modified=told.get("last-modified", ""))
    return _Got(body=answer.body, name=name, charset=charset, seen=seen)


def _conditions(known: FeedSeen) -> dict[str, str]:
    """Headers that ask for a feed only if it is another than that which is known."""
    told = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
    return {name: value for name, value in told.items() if value}


def _no_feed(name: str, what: str) -> Transient:
    return Transient("import.feed", f"the feed of the import {name} {what}", "it is asked again at the next run")


def _content_type(headers: Mapping[str, str]) -> tuple[str, str]:
    """What an answer is, and its charset; both empty if it does not say."""
    message = Message()
    message["content-type"] = headers.get("content-type", "")
    charset = message.get_content_charset("")
    try:
        "".encode(charset)  # which, other than a look-up, knows only encodings of text
    except (LookupError, ValueError):
        charset = ""
    return (message.get_content_type() if message["content-type"] else ""), charset


_TABLE_ENDS = (".tsv", ".txt", ".tsv.gz", ".txt.gz", ".tsv.zst", ".txt.zst")
_ENDS = (".xml", ".rss", ".atom", *_TABLE_ENDS)


def _name(feed: str, kind: str) -> str:
    """The feed's name for messages, with an end that tells its format: the address's own, or that of its answer."""
    name = PurePath(urlsplit(feed).path).name or "feed"
    plain = name[: -len(packing_of(name)) - 1] if packing_of(name) else name
    if plain.lower().endswith(_ENDS):
        return plain
    return f"{plain}.tsv" if kind in _TABLES else f"{plain}.xml"


def _is_delimited(answer: FetchAnswer) -> bool:
    """Whether an answer that broke off would have been noticed."""
    told = answer.headers
    return "content-length" in told or "chunked" in told.get("transfer-encoding", "").lower()


class _Bounded(io.RawIOBase):
    """A stream of so many bytes at most: a small feed may inflate without end."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._read: Callable[[int], bytes] = stream.read
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise Permanent("fetch.too_large", "the feed is larger than is taken once it is unpacked", "split it")
        buffer[: len(data)] = data
        return len(data)
