"""A Google product feed (RSS 2.0 or Atom with ``g:`` fields, or TSV) as rows, read piece by piece."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, BinaryIO, cast
from xml.etree.ElementTree import Element, ParseError

from babel.numbers import get_currency_precision
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from mailwright.core.errors import InvalidInput, Issue
from mailwright.ingest.files import read_rows
from mailwright.ingest.packed import TornFile

_LISTS = ("additional_image_link", "product_highlight", "included_destination", "excluded_destination")
_CODE = re.compile(r"\b[A-Za-z]{3}\b")
_AMOUNT = re.compile(r"\d[\d., ]*")
_MAX_FIELDS = 500
_DECLARED_BYTES = 200
_DECLARES = re.compile(rb"<\?xml[^>]*\bencoding\s*=")
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

FIELDS = frozenset(
    {
        "id",
        "title",
        "description",
        "link",
        "image_link",
        "brand",
        "gtin",
        "mpn",
        "condition",
        "price",
        "price_minor",
        "sale_price",
        "sale_price_minor",
        "currency",
        "sale_from",
        "sale_until",
        "availability",
        "available",
        "category",
        "department",
        "item_group_id",
        "additional_image_link",
    }
)
"""Fields that fill a fact of the same name."""

ALIASES: Mapping[str, str] = {"url": "link", "image": "image_link", "name": "title", "sku": "id"}
"""Name of a fact -> field of the feed that fills it, when the catalog has a fact of that name."""

Row = tuple[int, dict[str, Any]]


def read_feed(stream: BinaryIO, name: str, on_fault: Callable[[Issue], None], *, encoding: str = "") -> Iterator[Row]:
    """(number, row) of each product. `name` tells the format: it ends with ``.tsv`` or ``.txt`` for a TSV.

    `encoding` is that of a feed that does not say it itself, by its XML declaration or a byte order mark.

    A row has the feed's fields by their names without ``g:``, and what is read from them: `price` and `sale_price` as
    numbers, `price_minor` and `sale_price_minor` in the currency's smallest unit, `currency`, `sale_from`,
    `sale_until`, `available` (true or false), `category` (the last part of the product's type), `department` (the
    first).

    Raises:
        InvalidInput: ``file.xml``, ``file.columns``, ... if the feed cannot be read on.
    """
    if name.lower().endswith((".tsv", ".txt")):
        rows = _tsv(stream, name, on_fault, encoding)
    else:
        rows = _xml(_as_declared(stream, encoding, name), name)
    for number, row in rows:
        yield number, _read(row)


def _tsv(stream: BinaryIO, name: str, on_fault: Callable[[Issue], None], encoding: str) -> Iterator[Row]:
    for line, row in read_rows(stream, "csv", name=name, delimiter="\t", encoding=encoding, on_fault=on_fault):
        yield line, {key.removeprefix("g:").strip().lower().replace(" ", "_"): value for key, value in row.items()}


def _as_declared(stream: BinaryIO, encoding: str, name: str) -> BinaryIO:
    """XML in an encoding that it does not declare, as UTF-8."""
    peeked = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))
    start = peeked.peek(_DECLARED_BYTES)[:_DECLARED_BYTES]
    if not encoding or start.startswith(_MARKS) or _DECLARES.match(start.lstrip()):
        return peeked
    try:
        "".encode(encoding)  # a look-up would also find what is no encoding of text, such as zlib
        return cast("BinaryIO", codecs.EncodedFile(peeked, "utf-8", encoding))
    except (LookupError, ValueError):
        raise InvalidInput.one("file.encoding", f"there is no encoding {encoding!r}", path=name) from None


def _xml(stream: BinaryIO, name: str) -> Iterator[Row]:
    number = 0
    path: list[Element] = []
    try:
        for happened, element in iterparse(stream, events=("start", "end"), forbid_dtd=True):
            if happened == "start":
                path.append(element)
                continue
            path.pop()
            if _local(element.tag) in ("item", "entry"):
                number += 1
                yield number, _fields(element)
                if path:
                    path[-1].clear()  # what was read is let go, so that a feed of any length takes little memory
    except DefusedXmlException as error:
        message = f"the XML declares entities or a document type ({type(error).__name__}), which no feed needs"
        raise InvalidInput.one("file.xml", message, path=name) from None
    except TornFile as error:
        raise InvalidInput.one("file.torn", f"after {number:,} products {error}", path=name) from None
    except (ParseError, UnicodeError, ValueError) as error:
        message = f"after {number:,} products the XML cannot be read on: {error}"
        raise InvalidInput.one("file.xml", message, path=name, hint="is it a feed, and whole?") from None


def _fields(item: Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in list(item)[:_MAX_FIELDS]:
        key = _local(field.tag)
        text = " ".join((field.text or field.get("href") or "").split())
        if not text:
            continue
        if key in _LISTS:
            found.setdefault(key, []).append(text)
        else:
            found.setdefault(key, text)
    return found


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


# --- what is read from the fields ------------------------------------------------------------------------------------


def _read(row: dict[str, Any]) -> dict[str, Any]:
    for field in ("price", "sale_price"):
        if text := row.pop(field, ""):
            amount, currency = price_of(str(text))
            if amount is None:
                row[field] = text  # of a wrong type for the catalog, which tells it with its place
                continue
            row[field] = amount
            row[f"{field}_minor"] = round(amount * 10 ** (get_currency_precision(currency) if currency else 2))
            if currency:
                row.setdefault("currency", currency)
    if text := row.get("sale_price_effective_date"):
        row["sale_from"], row["sale_until"] = _period(str(text))
    if text := row.get("availability"):
        row["availability"] = str(text).strip().lower().replace(" ", "_")
        row["available"] = row["availability"] in ("in_stock", "limited_availability", "available_for_order")
    if text := row.get("product_type") or row.get("google_product_category"):
        parts = [part.strip() for part in str(text).split(">")]
        row["department"], row["category"] = parts[0], parts[-1]
    return row


def price_of(text: str) -> tuple[int | float | None, str]:
    """(amount, currency) of ``12.50 EUR``; amount None if there is none, currency empty if none is named.

    A comma before the last two digits, with no dot behind it, is a decimal comma: ``1.299,00 EUR``.
    """
    code, number = _CODE.search(text), _AMOUNT.search(text)
    currency = code[0].upper() if code else ""
    if not number:
        return None, currency
    digits = number[0].strip().replace(" ", "")
    has_decimal_comma = re.search(r",\d{1,2}$", digits)
    digits = digits.replace(".", "").replace(",", ".") if has_decimal_comma else digits.replace(",", "")
    try:
        amount = float(digits)
    except ValueError:
        return None, currency
    return (int(amount) if amount.is_integer() else amount), currency


def _period(text: str) -> tuple[str | None, str | None]:
    first, _, last = text.partition("/")
    found: list[str | None] = []
    for part in (first, last):
        try:
            at = datetime.fromisoformat(part.strip())
        except ValueError:
            found.append(None)
        else:
            found.append(at.isoformat())
    return found[0], found[1]
