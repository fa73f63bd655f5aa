"""What a former mail service knew of people, from its exports: contacts, consent, suppressions, and what they did.

A consent is granted only where the export itself says that the person is subscribed, and never by the file's being
there. Who had left, bounced or complained is kept out. What people did becomes history, so that open rates and segments
know the past. The columns are those that the services document; a column is found whatever its case and spacing.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from pathlib import PurePath
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import format_iso, from_datetime, parse_iso
from mailwright.ingest.drafts import Draft, Drafts, PassedOver
from mailwright.ingest.identifiers import is_address
from mailwright.ingest.imports import Preset
from mailwright.ingest.limits import LIMITS

Standing = Literal["subscribed", "unsubscribed", "bounced", "complained", "cleaned", "kept out", ""]
"""How the service held a person; empty: neither subscribed nor kept out (never asked, not confirmed).

``kept out`` is for a reason that is not known here.
"""

_NOT_WORDS = re.compile(r"[^a-z0-9]")
_encode = msgspec.json.Encoder(order="sorted").encode


class Service(NamedTuple):
    """How one service's exports are read. Names of columns are in small letters and digits alone.

    Attributes:
        standing: Columns that say how a person stands, and what their values mean; `_ANY_OTHER` is every other value.
        files: Beginning of a file's name -> the standing of everybody in it, where the service makes a file of each.
        asked: Columns of which one must be filled for a grant that only the file's name tells: when the person agreed.
        at: Columns with the time of the standing, the first that is filled.
        traits: Column -> trait.
    """

    standing: Mapping[str, Mapping[str, Standing]]
    files: Mapping[str, Standing]
    asked: tuple[str, ...]
    at: tuple[str, ...]
    traits: Mapping[str, str]


_NAMES = {
    "firstname": "firstName",
    "fname": "firstName",
    "lastname": "lastName",
    "lname": "lastName",
    "name": "name",
    "phonenumber": "phone",
    "phone": "phone",
    "mobile": "phone",
    "city": "city",
    "region": "region",
    "state": "region",
    "country": "country",
    "cc": "country",
    "zip": "postal_code",
    "zipcode": "postal_code",
    "postalcode": "postal_code",
    "timezone": "timezone",
    "language": "language",
    "locale": "language",
    "company": "company",
    "tags": "tags",
    "memberrating": "former_rating",
    "points": "former_points",
}
_WORDS: Mapping[str, Standing] = {
    "subscribed": "subscribed",
    "unsubscribed": "unsubscribed",
    "bounced": "bounced",
    "hardbounced": "bounced",
    "complained": "complained",
    "spam": "complained",
    "cleaned": "cleaned",
}

CHANGED = ("lastchanged", "updatedat", "updated", "datemodified", "lastmodified", "lastmodifieddate")
"""Columns that tell when anything about a person was changed last; the first that is filled."""

_ADDED = ("createdat", "created", "dateadded", "profilecreatedon", "dateidentified")
_ANY_OTHER = "*"
_DO_NOT_CONTACT: Mapping[str, Standing] = {
    **{none: "" for none in ("", "0", "false", "no", "none", "null")},
    "1": "unsubscribed",
    "2": "bounced",
    "3": "unsubscribed",
    _ANY_OTHER: "kept out",
}

SERVICES: Mapping[Preset, Service] = {
    "mailchimp": Service(
        standing={"status": _WORDS, "emailmarketingstatus": _WORDS, "subscriptionstatus": _WORDS},
        files={"subscribed": "subscribed", "unsubscribed": "unsubscribed", "cleaned": "cleaned"},
        asked=("confirmtime", "optintime"),
        at=("unsubtime", "cleantime", "confirmtime", "optintime", "lastchanged"),
        traits=_NAMES,
    ),
    "klaviyo": Service(
        standing={
            "emailsuppressions": {
                "unsubscribe": "unsubscribed",
                "userunsubscribed": "unsubscribed",
                "hardbounce": "bounced",
                "invalidemail": "bounced",
                "markedasspam": "complained",
                "usersuppressed": "unsubscribed",
            },
            "emailmarketingconsent": _WORDS,
        },
        files={},
        asked=(),
        at=("emailsuppressionstimestamp", "emailmarketingconsenttimestamp", "emailconsenttimestamp"),
        traits=_NAMES,
    ),
    "mautic": Service(
        standing={
            "donotcontact": _DO_NOT_CONTACT,
            "dnc": _DO_NOT_CONTACT,
            "status": _WORDS,
        },
        files={},
        asked=(),
        at=("dncdateadded", "optintime", "dateidentified"),
        traits=_NAMES,
    ),
    "listmonk": Service(
        standing={
            "status": {"blocklisted": "unsubscribed", "disabled": "unsubscribed"},
            "subscriptionstatus": {"confirmed": "subscribed", "unsubscribed": "unsubscribed"},
        },
        files={},
        asked=(),
        at=("subscriptionupdatedat", "updatedat", "createdat"),
        traits=_NAMES,
    ),
    "sendgrid": Service(
        standing={"status": _WORDS},
        files={
            "suppressionbounces": "bounced",
            "bounces": "bounced",
            "suppressioninvalid": "bounced",
            "suppressionunsubscribes": "unsubscribed",
            "suppressiongroup": "unsubscribed",
            "unsubscribes": "unsubscribed",
            "globalunsubscribes": "unsubscribed",
            "suppressionspam": "complained",
            "spamreports": "complained",
        },
        asked=(),
        at=("created", "createdat"),
        traits=_NAMES,
    ),
}

ADDRESSES = ("emailaddress", "email", "mail", "subscriberemail", "recipient", "contactemail")
_ACTIONS: Mapping[str, str] = {
    "sent": "Email Sent",
    "send": "Email Sent",
    "processed": "Email Sent",
    "delivered": "Email Sent",
    "receivedemail": "Email Sent",
    "open": "Email Opened",
    "opened": "Email Opened",
    "openedemail": "Email Opened",
    "click": "Email Link Clicked",
    "clicked": "Email Link Clicked",
    "clickedemail": "Email Link Clicked",
    "bounce": "Email Bounced",
    "bounced": "Email Bounced",
    "hardbounce": "Email Bounced",
    "bouncedemail": "Email Bounced",
    "spamreport": "Email Marked as Spam",
    "abuse": "Email Marked as Spam",
    "markedemailasspam": "Email Marked as Spam",
    "unsubscribe": "Unsubscribed",
    "unsub": "Unsubscribed",
    "unsubscribed": "Unsubscribed",
    "unsubscribedfromemailmarketing": "Unsubscribed",
}
ACTION_COLUMNS = ("action", "event", "eventname", "metric", "activity")
TIMES = ("timestamp", "time", "datetime", "eventtime", "processed", "date", "createdat", "opentime", "clicktime")
CAMPAIGNS = ("campaign", "campaigntitle", "campaignname", "marketingcampaignname", "templateid", "newsletter")
URLS = ("url", "link", "clickedurl")
_FORMATS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%y %H:%M",
    "%b %d, %Y %I:%M %p",
)


def former_drafts(preset: Preset, *, name: str, purpose: str, zone: str) -> Drafts:
    """What the rows of an export become.

    Args:
        preset: Which service made it.
        name: Of the file: some services make one of each standing, and only its name tells it.
        purpose: Of the consents that are granted or withdrawn.
        zone: Of times that are written without one.
    """
    return partial(_drafts, preset, SERVICES[preset], standing_of(preset, name), purpose, ZoneInfo(zone))


def standing_of(preset: Preset, name: str) -> Standing:
    """How everybody in a file stands by its name alone; empty if it does not say."""
    stem = plain(PurePath(name).name)
    return next((held for start, held in SERVICES[preset].files.items() if stem.startswith(start)), "")


def check_columns(name: str, columns: Sequence[str] | None) -> None:
    """Whether a file can be an export of contacts, by its first line; None: every row has its own columns.

    Raises:
        InvalidInput: ``import.columns``.
    """
    if columns is not None and not {plain(column) for column in columns} & set(ADDRESSES):
        first = ", ".join(columns)
        message = f"the first line names no column with an e-mail address: {first[:80]!r}"
        raise InvalidInput.one("import.columns", message, path=name, hint="is this the whole export, with its header?")


def _drafts(
    preset: Preset,
    service: Service,
    by_file: Standing,
    purpose: str,
    zone: ZoneInfo,
    line: int,
    row: Mapping[str, Any],
) -> Sequence[Draft]:
    fields = {plain(column): value for column, value in row.items() if value not in (None, "")}
    address = str(_first(fields, ADDRESSES) or "").strip()
    if not address:
        hint = "its column is called Email, Email Address or the like"
        raise InvalidInput.one("import.preset_row", "no column holds an e-mail address", path=f"line {line}", hint=hint)
    if not is_address(address):
        message = "what stands in the place of the e-mail address is none"
        raise InvalidInput.one("import.preset_row", message, path=f"line {line}", hint="mend the row or leave it out")
    action = plain(str(_first(fields, ACTION_COLUMNS) or ""))
    if action:
        return _activity(preset, fields, address, action, zone, line)
    return _contact(preset, service, by_file, purpose, zone, fields, address, line)


# --- contacts --------------------------------------------------------------------------------------------------------


def _contact(
    preset: Preset,
    service: Service,
    by_file: Standing,
    purpose: str,
    zone: ZoneInfo,
    fields: Mapping[str, Any],
    address: str,
    line: int,
) -> Sequence[Draft]:
    standing, told_by_row = _standing(service, fields)
    if by_file == "subscribed":
        # That a file is called so is no proof of what this person agreed to: when they did must stand there.
        if not told_by_row and _time(_first(fields, service.asked), zone):
            standing = by_file
    elif by_file:  # a file of those who are kept out keeps out, whatever a column says (SendGrid's has SMTP codes)
        standing = next(one for one in _STRONGEST if one in (standing, by_file))
    at = _time(_first(fields, service.at), zone)
    traits = {trait: fields[column] for column, trait in service.traits.items() if column in fields}
    if isinstance(tags := traits.get("tags"), str):
        traits["tags"] = _tags(tags)
    call: dict[str, Any] = {"type": "identify", "traits": {"email": address, **traits}}
    if known := _known_at(service, fields, zone):
        call["timestamp"] = known
    call["messageId"] = _id(preset, call)
    drafts = [Draft("call", call)]
    if standing in ("subscribed", "unsubscribed"):
        drafts.append(_consent(preset, address, purpose, standing == "subscribed", at, line))
    elif standing:
        drafts.append(Draft("suppression", {"email": address, "reason": f"{standing} at {preset}"}))
    return drafts


def dating(service: Service) -> tuple[str, ...]:
    """Columns of which the newest time is that of a person's traits, if none of `CHANGED` is filled."""
    return (*service.at, *_ADDED)


def _known_at(service: Service, fields: Mapping[str, Any], zone: ZoneInfo) -> str:
    """As of when the service knew a person's traits: newer words of others count before them. Empty: nothing says."""
    for columns in (*((column,) for column in CHANGED), dating(service)):
        times = [at for column in columns if column in fields and (at := _time(fields[column], zone))]
        known = [at for at in times if parse_iso(at) >= LIMITS.earliest_at]  # before is how some write "never"
        if known:
            return max(known, key=parse_iso)
    return ""


def _consent(preset: Preset, address: str, purpose: str, granted: bool, at: str, line: int) -> Draft:
    if not purpose:
        message = "the row tells a consent, but not what for"
        raise InvalidInput.one("import.purpose", message, path=f"line {line}", hint="say purpose: newsletter")
    since = f" since {at}" if at else ""
    wording = f"imported from {preset}: {'subscribed' if granted else 'unsubscribed'}{since}"
    body = {"email": address, "purpose": purpose, "granted": granted, "source": f"import:{preset}", "wording": wording}
    return Draft("consent", body | ({"at": at} if at else {}))


def _standing(service: Service, fields: Mapping[str, Any]) -> tuple[Standing, bool]:
    """(standing, whether a column tells it). Of several columns one that keeps out counts before one that lets in."""
    found: list[Standing] = []
    told = False
    for column, meanings in service.standing.items():
        if column not in fields:
            continue
        told = True
        found.append(_meaning(meanings, plain(str(fields[column]))))
    return next((one for one in _STRONGEST if one in found), ""), told


_STRONGEST: Sequence[Standing] = ("complained", "bounced", "cleaned", "kept out", "unsubscribed", "subscribed")


def _meaning(meanings: Mapping[str, Standing], value: str) -> Standing:
    """What a value means; in a list of reasons, such as ``[{'reason': 'HARD_BOUNCE'}]``, a reason that keeps out."""
    if value in meanings:
        return meanings[value]
    among: list[Standing] = [
        one for word, one in meanings.items() if len(word) > 1 and word in value and one not in ("", "subscribed")
    ]
    return among[0] if among else meanings.get(_ANY_OTHER, "")


# --- what people did -------------------------------------------------------------------------------------------------


def _activity(
    preset: Preset, fields: Mapping[str, Any], address: str, action: str, zone: ZoneInfo, line: int
) -> Sequence[Draft]:
    event = _ACTIONS.get(action)
    if event is None:
        return PassedOver()
    at = _time(_first(fields, TIMES), zone)
    if not at:
        raise InvalidInput.one("import.preset_row", "an activity without a time", path=f"line {line}")
    told = {
        "campaign": _first(fields, CAMPAIGNS),
        "subject": fields.get("subject"),
        "url": _first(fields, URLS),
        "imported_from": preset,
    }
    call = {
        "type": "track",
        "event": event,
        "timestamp": at,
        "properties": {name: value for name, value in told.items() if value},
        "context": {"traits": {"email": address}},
    }
    call["messageId"] = _id(preset, call)
    return (Draft("call", call),)


# --- parts -----------------------------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """A column's name or a word as it is compared: small letters and digits alone."""
    return _NOT_WORDS.sub("", text.lower())


def _first(fields: Mapping[str, Any], columns: Sequence[str]) -> Any:
    return next((fields[column] for column in columns if column in fields), None)


def _id(preset: Preset, call: Mapping[str, Any]) -> str:
    return f"{preset}-{blake2b(_encode(call), digest_size=16).hexdigest()}"


def _tags(text: str) -> list[str]:
    """Tags as services write them into one cell: with commas between them, and quotes around them or not."""
    try:
        [found] = csv.reader([" ".join(text.split())], skipinitialspace=True) or [[]]
    except (csv.Error, ValueError):
        return [text]
    return [tag.strip() for tag in found if tag.strip()]


def _time(value: Any, zone: ZoneInfo) -> str:
    """ISO 8601 of a time as services write it; empty if there is none or it is none."""
    text = str(value or "").strip()
    readers: list[Callable[[str], datetime]] = [
        lambda one: datetime.fromisoformat(one),
        *(partial(_strptime, format) for format in _FORMATS),
    ]
    if text.isdecimal() and len(text) >= 9:
        return format_iso(from_datetime(datetime.fromtimestamp(int(text[:10]), UTC)))
    for read in readers:
        try:
            at = read(text)
            return format_iso(from_datetime((at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)))
        except (ValueError, OverflowError):
            continue
    return ""


def _strptime(format: str, text: str) -> datetime:
    return datetime.strptime(text, format)
