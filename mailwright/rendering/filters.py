"""Filters that Mailwright adds to Liquid: money, deterministic dates, and guards for the places data may stand in."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from datetime import date as Date
from datetime import datetime, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import quote

from liquid import Environment, Markup, RenderContext
from liquid.builtin.filters.misc import date as liquid_date
from liquid.exceptions import FilterArgumentError
from liquid.undefined import is_undefined

Filter = Callable[..., object]

_SYMBOLS: Final = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩", "BRL": "R$", "CAD": "CA$"}
_NO_MINOR_UNIT: Final = frozenset({"JPY", "KRW", "VND", "CLP", "ISK", "HUF"})
_MICROS: Final = Decimal(1_000_000)
# Above this a price is a mistake, and formatting it could fill a page.
_MONEY_MAX: Final = Decimal(10) ** 15

_SCHEME: Final = re.compile(r"\A(https?://|mailto:|tel:)", re.IGNORECASE)
# Browsers drop these inside a scheme ("java\tscript:"), so they go before the scheme is read.
_IGNORED_IN_URL: Final = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff\u200b-\u200f\u202a-\u202e]+")
_URL_KEPT: Final = "!#$%&*+,-./:;=?@[]_~"
_CSS_REFUSED: Final = re.compile(r"""[<>"'\\;{}@]|/\*|\(|url|expression|import|javascript|:""", re.IGNORECASE)
_CSS_FUNCTION: Final = re.compile(r"\A(rgba?|hsla?)\([\d\s.,%/-]*\)\Z", re.IGNORECASE)
_CSS_MAX: Final = 200

DEAD_LINK: Final = "#"

OWN_PAGES: Final = "https://pages.mailwright.invalid/"
"""How the addresses of our own pages begin in a rendered mail; each becomes a signed link when the mail is made. Nobody
can have the name (RFC 2606), so one that was forgotten leads nowhere."""


def money_filter(currency: str) -> Filter:
    """The ``money`` filter of a project whose own currency is `currency` (ISO 4217).

    ``{{ 12.5 | money }}`` is ``$12.50``; ``{{ x | money: 'EUR' }}`` takes another currency; ``micro: true`` reads
    millionths. None and text that is no number give the empty string. Rounds half to even.
    """

    def money(value: object, code: object = None, *, micro: object = False) -> str:
        amount = _decimal(value)
        if amount is None:
            return ""
        return _format_money(amount / _MICROS if micro is True else amount, str(code or currency).upper())

    return money


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        amount = Decimal(value if isinstance(value, int) else str(value).strip()[:40])
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and abs(amount) < _MONEY_MAX else None


def _format_money(amount: Decimal, code: str) -> str:
    unit = Decimal(1) if code in _NO_MINOR_UNIT else Decimal("0.01")
    rounded = amount.quantize(unit, rounding=ROUND_HALF_EVEN)
    sign = "-" if rounded < 0 else ""
    return f"{sign}{_SYMBOLS.get(code, code[:3] + ' ')}{abs(rounded):,}"


def date_filter(zone: tzinfo) -> Filter:
    """Liquid's ``date`` filter made repeatable.

    ``now`` and ``today`` read the variable `now` (ISO text or an aware datetime) instead of the machine's clock, and
    instants are shown in the project's time zone whatever the machine's is. Other text goes to Liquid's own reader.
    """

    def date(value: object, form: object, *, context: RenderContext, environment: Environment) -> object:
        moment = _moment(_now(context) if value in ("now", "today") else value, zone)
        if isinstance(moment, datetime) and isinstance(form, str):
            return _shown(moment, form, escape=environment.autoescape)
        return liquid_date(moment, form, environment=environment)

    date.with_context = True  # type: ignore[attr-defined]  # how Liquid marks what a filter wants to be given
    date.with_environment = True  # type: ignore[attr-defined]
    return date


def _now(context: RenderContext) -> object:
    now = context.resolve("now", default=None)
    if now is None or is_undefined(now):
        raise FilterArgumentError("'now' is not given to this template", token=None)
    return now


def _shown(moment: datetime, form: str, *, escape: bool) -> str:
    """Not by Liquid's filter: it remembers instants by equality, and one instant in two zones is equal to itself."""
    try:
        shown = moment.strftime(form)
    except ValueError as error:
        raise FilterArgumentError(str(error), token=None) from error
    return Markup(shown) if escape and isinstance(form, Markup) else shown


def _moment(value: object, zone: tzinfo) -> object:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return value
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, tz=zone)
        except (OverflowError, OSError, ValueError):
            return str(value)
    if isinstance(value, datetime):
        return value.astimezone(zone) if value.tzinfo else value
    return datetime.combine(value, datetime.min.time()) if isinstance(value, Date) else value


def answer_url(form: object, question: object, answer: object) -> str:
    """``{{ 'nps' | answer_url: 'score', 9 }}``: the link that answers a question of a form or survey."""
    return _own_page("a", form, question, answer)


def form_url(form: object) -> str:
    """``{{ 'profile' | form_url }}``: the link to a form that knows whom the mail was written to."""
    return _own_page("f", form)


def preferences_url(form: object) -> str:
    """``{{ 'preferences' | preferences_url }}``: the link to a preference centre."""
    return _own_page("p", form)


def _own_page(*parts: object) -> str:
    texts = ["" if is_undefined(part) or part is None else str(part).strip() for part in parts]
    if not all(texts):
        raise FilterArgumentError("a name is missing or empty", token=None)
    return OWN_PAGES + "/".join(quote(text, safe="") for text in texts)


def safe_url(value: object) -> Markup:
    """A URL fit for an attribute or CSS: http, https, mailto or tel; anything else becomes ``#``.

    Added by the compiler to every ``href``, ``src`` and the like whose beginning comes from data. Characters that
    could end the attribute or a CSS ``url()`` are percent-encoded.
    """
    text = html.unescape(str(value)) if isinstance(value, Markup) else str(value)
    bare = _IGNORED_IN_URL.sub("", text.strip())
    if not _SCHEME.match(bare):
        return Markup("" if not bare else DEAD_LINK)
    return Markup(html.escape(quote(text.strip(), safe=_URL_KEPT)))


def css_value(value: object) -> Markup:
    """A CSS value made harmless: a colour, length, keyword or font list; anything else becomes empty."""
    text = str(value).strip()
    if len(text) > _CSS_MAX or (_CSS_REFUSED.search(text) and not _CSS_FUNCTION.match(text)):
        return Markup("")
    return Markup(html.escape(text))


def json_text(value: object) -> Markup:
    """The inside of a JSON string literal, with nothing in it that could end a script element."""
    return Markup(_harmless_json(str(value))[1:-1])


def json_filter(value: object) -> Markup:
    """The value as JSON, fit for a ``<script type="application/ld+json">`` block."""
    return Markup(_harmless_json(None if is_undefined(value) else value))


def _harmless_json(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise FilterArgumentError(f"no JSON value: {error}", token=None) from None
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
