"""Plan and apply: from the files of a project folder to a version that the engine follows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from mailwright.core.errors import InvalidInput, NotFound
from mailwright.core.ports import DefinitionVersion
from mailwright.ingest.normalise.rates import RATES_FILE, read_rates
from mailwright.rules.catalog import Catalog
from mailwright.rules.fold import Fold
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.documents import parse_yaml
from mailwright.runtime.project.files import read_files
from mailwright.runtime.project.forms import sealed_tags
from mailwright.runtime.project.load import Project, load_project
from mailwright.runtime.project.templates import check_templates


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One definition that is not as it was: ``segments.yaml`` and ``vip``, and added, changed or removed."""

    file: str
    name: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `apply` would make: the checked project, its files, and how they differ from what is in force."""

    project: Project
    files: Mapping[str, str]
    current: int
    differences: list[Difference]


def plan(installation: Installation) -> Plan:
    """Read and check the project folder and compare it with the version in force.

    Raises:
        InvalidInput: With every fault found in the files, or else in the templates.
        UnsupportedRule: If a rule is valid but cannot be kept live.
    """
    settings = installation.settings
    files = read_files(
        settings.folder,
        name=settings.project.name,
        time_zone=settings.project.time_zone,
        data_folder=settings.data.folder,
        currency=settings.project.currency,
    )
    project = load_project(files)
    if issue := sealed_tags(project, settings.privacy.personal):
        raise InvalidInput("definition.invalid", [issue])
    faults = check_templates(project, files)
    if faults:
        raise InvalidInput("definition.template", faults)
    Fold(project.rules, Catalog())  # refuses, with the place, what the engine could not keep live
    current = installation.records.definitions.current()
    differences = _differences(current.files if current else {}, files)
    return Plan(project=project, files=files, current=current.version if current else 0, differences=differences)


def apply(installation: Installation, planned: Plan) -> DefinitionVersion:
    """Make the planned files a new version. The engine puts it in force when it has read of it in the log.

    If it has leaves that were not kept before, a job folds their past first; see `EngineStatus.installing`.

    Raises:
        Conflict: If another version was applied since the plan was made.
    """
    version = DefinitionVersion(
        version=planned.current + 1,
        applied_at=installation.clock.now(),
        digest=digest(planned.files),
        files=planned.files,
    )
    installation.records.definitions.store(version)
    installation.pump_outbox()
    return version


def current_project(installation: Installation) -> tuple[int, Project]:
    """The newest version that was applied, and its typed project.

    Raises:
        NotFound: Before the first apply.
    """
    current = installation.records.definitions.current()
    if current is None:
        raise NotFound(
            "definition.not_applied", "nothing was applied yet", "run `mailwright apply` in the project folder"
        )
    return current.version, load_project(current.files)


def digest(files: Mapping[str, str]) -> str:
    """SHA-256 over paths and texts."""
    total = hashlib.sha256()
    for path in sorted(files):
        for part in (path, files[path]):
            data = part.encode()
            total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[Difference]:
    before, after = _parts(old), _parts(new)
    return sorted(
        Difference(file, name, "added" if key not in before else "removed" if key not in after else "changed")
        for key in before.keys() | after.keys()
        for file, name in [key]
        if before.get(key) != after.get(key)
    )


def _parts(files: Mapping[str, str]) -> dict[tuple[str, str], object]:
    """Definition -> its content; files that hold many by name are taken apart, comments do not count."""
    parts: dict[tuple[str, str], object] = {}
    for path, text in files.items():
        if path == RATES_FILE:  # told by currency
            days, issues = read_rates(text, "")
            parts |= {(path, code): known for code, known in days.items()} if not issues else {(path, ""): text}
            continue
        if "/" in path or not path.endswith(".yaml"):
            parts[path, ""] = text
            continue
        try:
            data = parse_yaml(path, text).data
        except InvalidInput:
            data = None
        for name, value in (data if isinstance(data, dict) else {"": text}).items():
            parts[path, str(name)] = value
    return parts
