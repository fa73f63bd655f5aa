"""Rows of a dlt source: its pipeline runs here, with this function as its destination; what it remembers is a folder.

The pipeline works on a copy of what it remembered. Only when its rows are delivered is the copy put in its place: a run
that is killed reads the same rows again. Work files, which hold rows in clear text, are removed.
"""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mailwright.core.errors import InvalidInput, MailwrightError, Transient

_BATCH_ROWS = 500
_PIPELINE = "mailwright"
_WORK = ("load", "normalize", "extract")

Take = Callable[[Sequence[Mapping[str, Any]]], None]


def run_dlt(
    call: str, arguments: Mapping[str, Any], resource: str, *, folder: Path, state: Path, next_state: Path, take: Take
) -> None:
    """Give the source's new rows to `take`, batch by batch.

    Args:
        call: ``module:function``; modules of `folder` are found first.
        arguments: Of the call.
        resource: The one of the source's that is read; empty if there is one only.
        folder: The project's.
        state: What the runs so far remembered, or nothing yet.
        next_state: Where this run puts what it remembers.
        take: Is given rows; an error of ours that it raises ends the run.

    Raises:
        InvalidInput: ``import.dlt``, if dlt, the module, the function or the resource is not there, or fails at once.
        Transient: ``import.dlt_failed``, if the source fails while it is read.
    """
    dlt = _dlt()
    source = _of_resource(_source(call, arguments, folder), call, resource)
    shutil.rmtree(next_state, ignore_errors=True)
    if state.exists():
        shutil.copytree(state, next_state)
    failed: list[MailwrightError] = []

    def deliver(items: Any, _table: Any) -> None:
        try:
            take(items)
        except MailwrightError as error:
            failed.append(error)
            raise

    destination = dlt.destination(
        deliver,
        name=_PIPELINE,
        batch_size=_BATCH_ROWS,
        loader_file_format="typed-jsonl",
        naming_convention="direct",
        max_table_nesting=0,
        skip_dlt_columns_and_tables=True,
        loader_parallelism_strategy="sequential",
    )
    dlt.config["runtime.dlthub_telemetry"] = False  # nobody is told what is read here
    try:
        pipeline = dlt.pipeline(_PIPELINE, destination=destination(), pipelines_dir=str(next_state))
        pipeline.run(source)
    except Exception as error:  # noqa: BLE001 whatever a source can raise
        shutil.rmtree(next_state, ignore_errors=True)
        if failed:
            raise failed[0] from None
        raise _failed(call, error) from None
    for part in _WORK:
        shutil.rmtree(next_state / _PIPELINE / part, ignore_errors=True)


def _dlt() -> Any:
    try:
        import dlt
    except ImportError:
        message = "dlt is not installed"
        raise InvalidInput.one("import.dlt", message, hint='pip install "mailwright[dlt]"') from None
    return dlt


def _source(call: str, arguments: Mapping[str, Any], folder: Path) -> Any:
    module, _, function = call.partition(":")
    sys.path.insert(0, str(folder))
    try:
        importlib.invalidate_caches()
        found = getattr(importlib.import_module(module), function, None)
    except ImportError as error:
        raise InvalidInput.one("import.dlt", f"{call}: {error}") from None
    finally:
        sys.path.remove(str(folder))
    if not callable(found):
        raise InvalidInput.one("import.dlt", f"{call}: {module} has no function {function!r}")
    try:
        return found(**arguments)
    except TypeError as error:
        raise InvalidInput.one("import.dlt", f"{call}: {error}") from None
    except Exception as error:  # noqa: BLE001 whatever a source can raise
        raise _failed(call, error) from None


def _of_resource(source: Any, call: str, resource: str) -> Any:
    """The source with that resource alone; with none named, as it is if it has no second one."""
    names = list(getattr(source, "resources", {})) or [""]
    if resource and resource not in names:
        raise InvalidInput.one("import.dlt", f"{call} has no resource {resource!r}; it has {', '.join(names)}")
    if not resource and len(names) > 1:
        message = f"{call} has {len(names)} resources: {', '.join(names)}"
        raise InvalidInput.one("import.dlt", message, hint="say which: resource: ...")
    return source.with_resources(resource) if resource else source


def _failed(call: str, error: BaseException) -> Transient:
    while error.__cause__ is not None:
        error = error.__cause__
    said = str(error).strip().splitlines() or [""]
    message = f"{call} failed: {type(error).__name__}: {said[0][:300]}"
    return Transient("import.dlt_failed", message, "what it had read is read again at the next run")
