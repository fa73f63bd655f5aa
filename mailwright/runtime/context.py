"""The resolver of contexts as the settings and the applied definitions want it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from mailwright.core.ports import DefinitionRecords
from mailwright.ingest.context.channels import ChannelDefinition
from mailwright.ingest.context.resolve import ContextResolver
from mailwright.runtime.project.documents import convert, parse_yaml
from mailwright.runtime.settings import Settings
from mailwright.stores.places_mmdb import MmdbPlaces
from mailwright.stores.populations import Populations

_FILE = "channels.yaml"
_LOOK_EVERY_S = 5.0


def context_resolver(settings: Settings, definitions: DefinitionRecords) -> ContextResolver:
    """What tells more of an incoming event's context. A file of places that is missing or broken costs the places only.

    Opening it and reading a table of populations wait for the first address.
    """
    told = settings.context
    populations = None
    if told.population_file:
        populations = Populations(settings.folder / told.population_file, told.urban_from)
    places = MmdbPlaces(settings.folder / told.place_file, populations) if told.place_file else None
    return ContextResolver(places, keep_ip=told.ip, channels=AppliedChannels(definitions))


class AppliedChannels:
    """The project's own channels, read anew within seconds of an `apply`."""

    def __init__(self, definitions: DefinitionRecords) -> None:
        self._definitions = definitions
        self._version = 0
        self._found: Sequence[ChannelDefinition] = ()
        self._look_at = 0.0

    def __call__(self) -> Sequence[ChannelDefinition]:
        """The rules, in the order of their file."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY_S
            self._look()
        return self._found

    def _look(self) -> None:
        newest = self._definitions.current()
        if newest is None or newest.version == self._version:
            return
        self._version = newest.version
        found: list[ChannelDefinition] = []
        if _FILE in newest.files:
            document = parse_yaml(_FILE, newest.files[_FILE])
            found = [convert(document, (name,), ChannelDefinition) for name in document.data or {}]
        self._found = tuple(found)
