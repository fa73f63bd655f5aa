"""What becomes of each column of a file that knows what its rows become: an export of a mail service, or of GA4."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mailwright.ingest.dry_run import ColumnReport, FileReport, Tally
from mailwright.ingest.former_service import (
    ACTION_COLUMNS,
    ADDRESSES,
    CAMPAIGNS,
    CHANGED,
    SERVICES,
    TIMES,
    URLS,
    dating,
    plain,
    standing_of,
)
from mailwright.ingest.ga4 import COLUMNS, Ga4Drafts, has_own_shape, is_filled
from mailwright.ingest.imports import Preset

# --- a former mail service -------------------------------------------------------------------------------------------


class _Role(NamedTuple):
    """Something that a row tells, and the columns that tell it: the first that is filled, or `together`, all."""

    to: str
    columns: Sequence[str]
    together: bool = False


_ACTIVITY = (
    _Role("context.traits.email", ADDRESSES),
    _Role("event", ACTION_COLUMNS),
    _Role("timestamp", TIMES),
    _Role("properties.campaign", CAMPAIGNS),
    _Role("properties.subject", ("subject",)),
    _Role("properties.url", URLS),
)


class FormerReport:
    """Of one file of a former mail service. See `mailwright.ingest.former_service`.

    Args:
        preset: Which service made it.
        name: Of the file.
        columns: Of the file; None if every row has its own.
        is_personal: Whether the values of a trait are masked.
    """

    def __init__(
        self, preset: Preset, name: str, columns: Sequence[str] | None, is_personal: Callable[[str], bool]
    ) -> None:
        self._name = name
        self._contact = _contact_roles(preset, name)
        self._tally = Tally(columns or (), is_personal)
        self._taken: dict[str, dict[str, None]] = {}  # column -> where its values went; a dict for the order
        self._kinds: dict[tuple[_Role, ...], None] = {}

    def see(self, row: Mapping[str, Any]) -> None:
        """Another row."""
        filled = {plain(column): column for column, value in row.items() if value not in (None, "")}
        roles = _ACTIVITY if any(column in filled for column in ACTION_COLUMNS) else self._contact
        self._kinds[roles] = None
        for role in roles:
            found = [filled[column] for column in role.columns if column in filled]
            for column in found if role.together else found[:1]:
                self._taken.setdefault(column, {})[role.to] = None
        for column, value in row.items():
            self._tally.see(column, value, next(iter(_could(roles, column)), ""))

    def told(self) -> FileReport:
        """All columns, those that are read first; of those that are not read no example is shown."""
        tally = self._tally
        there = {plain(column) for column in tally.n_filled}
        roles = [role for kind in self._kinds or self._kinds_by(there) for role in kind]
        told = []
        for column, n_filled in tally.n_filled.items():
            to = ", ".join(dict.fromkeys(self._taken.get(column, ()) if n_filled else _could(roles, column)))
            told.append(
                ColumnReport(
                    column=column, to=to, type="", n_filled=n_filled, examples=tally.examples(column) if to else ()
                )
            )
        absent = [(role.to, role.columns) for role in roles if not there & set(role.columns)]
        return FileReport(name=self._name, columns=sorted(told, key=lambda one: not one.to), absent=absent)

    def _kinds_by(self, there: set[str]) -> list[tuple[_Role, ...]]:
        """What the rows of a file would be that has none."""
        return [_ACTIVITY if there & set(ACTION_COLUMNS) else self._contact]


def _could(roles: Sequence[_Role], column: str) -> list[str]:
    name = plain(column)
    return [role.to for role in roles if name in role.columns]


def _contact_roles(preset: Preset, name: str) -> tuple[_Role, ...]:
    service, by_file = SERVICES[preset], standing_of(preset, name)
    asked = service.asked if by_file == "subscribed" else ()
    roles = [
        _Role("traits.email", ADDRESSES),
        _Role("consent or suppression", (*service.standing, *asked), together=True),
    ]
    if by_file in ("", "subscribed", "unsubscribed"):
        roles.append(_Role("consent.at", service.at))
    roles.append(_Role("timestamp", (*CHANGED, *dating(service))))
    by_trait: dict[str, list[str]] = {}
    for column, trait in service.traits.items():
        by_trait.setdefault(trait, []).insert(0, column)  # of several that are filled the last named counts
    return (*roles, *(_Role(f"traits.{trait}", tuple(columns)) for trait, columns in by_trait.items()))


# --- GA4 -------------------------------------------------------------------------------------------------------------

_FIRST = 7_000_000_000_001
"""The first of the marks that are followed through a row: each is text that is read as a number where one is wanted."""


class Ga4Report:
    """Of one file of GA4's export. Where its columns go is found by following marks through `Ga4Drafts`.

    A nested column is named by its path, a parameter by its key: ``event_params.page_location``.
    """

    def __init__(self, name: str, is_personal: Callable[[str], bool]) -> None:
        """`name` of the file; `is_personal`: whether the values of a trait are masked."""
        self._name = name
        self._tally = Tally((), is_personal)
        self._shapes: dict[str, dict[frozenset[str], None]] = {}  # event -> which paths its rows fill together

    def see(self, row: Mapping[str, Any]) -> None:
        """Another row."""
        filled: dict[str, Any] = {}
        for path, value in _leaves(row, ""):
            filled.setdefault(path, value)
        for path, value in filled.items():
            self._tally.see(path, value, "")
        name = str(row.get("event_name"))
        shapes = self._shapes.setdefault(name if has_own_shape(name) else "", {})
        shape = frozenset(filled)
        if shape not in shapes and len(shapes) >= _MOST_SHAPES:  # from here on as if all were filled in one row
            shape |= shapes.popitem()[0]
        shapes[shape] = None

    def told(self) -> FileReport:
        """All columns, those that are read first; of those that are not read no example is shown."""
        goes: dict[str, dict[str, None]] = {}
        for event, shapes in self._shapes.items():
            for path, to in (one for shape in shapes for one in _followed(event or "another", sorted(shape))):
                goes.setdefault(path, {})[to] = None
        tally = self._tally
        told = [
            ColumnReport(
                column=path,
                to=", ".join(goes.get(path, ())),
                type="",
                n_filled=n_filled,
                examples=tally.examples(path) if path in goes else (),
            )
            for path, n_filled in tally.n_filled.items()
        ]
        there = {path.partition(".")[0] for path in tally.n_filled}
        absent = [(to, [column]) for column, to in COLUMNS.items() if column not in there]
        return FileReport(name=self._name, columns=sorted(told, key=lambda one: not one.to), absent=absent)


_MOST_SHAPES = 1_000
"""Of one event; a file that has more tells of columns that count only in the place of others that they are not read."""


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every filled value with its path; the things of a list have one path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for one in value:
            if isinstance(one, Mapping) and "key" in one and isinstance(one.get("value"), Mapping):
                yield from ((f"{path}.{one['key']}", said) for said in one["value"].values() if said is not None)
            else:
                yield from _leaves(one, path)
    elif is_filled(value):
        yield path, value


def _followed(event: str, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(path, where it goes) of a row of this event that fills these paths, once per place."""
    marks = {path: str(_FIRST + n) for n, path in enumerate(paths)}
    row: dict[str, Any] = {}
    for path, mark in marks.items():
        _put(row, path, mark)
    drafts = Ga4Drafts()(1, row | {"event_name": event, "event_timestamp": 0})
    came_from = {mark: path for path, mark in marks.items()}
    for draft in drafts:
        if draft.body["type"] != "identify":
            yield "event_name", "event" if draft.body["type"] == "track" else "type"
        yield "event_timestamp", "timestamp"
        for to, value in _leaves(draft.body, ""):
            if str(value) in came_from:
                yield came_from[str(value)], to


def _put(row: dict[str, Any], path: str, mark: str) -> None:
    column, dot, rest = path.partition(".")
    if column in ("event_params", "user_properties"):
        row.setdefault(column, []).append({"key": rest, "value": {"string_value": mark}})
    elif column == "items":
        row.setdefault(column, [{}])[0][rest] = mark
    elif not dot:
        row.setdefault(column, mark)
    elif isinstance(row.setdefault(column, {}), dict):  # one that is a text elsewhere is no such column
        row[column][rest] = mark
