"""Renders a template that nobody has reviewed yet, in a process of its own with limits the kernel keeps.

The engine's own limits count loops, filters and output; they do not bound a regular expression inside a filter or the
memory of a compiler. An author's preview therefore runs where it can be ended: a fresh process per preview, without
environment, without writing files, with bounded memory, processor time and wall time.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from mailwright.core.errors import InvalidInput, Issue, Permanent, Span
from mailwright.rendering.template import Limits, Rendered, TemplateEnvironment, compile_template, parse_template

_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimits:
    """What the kernel allows one preview; the processor time includes starting Python (about 0.3 s).

    A template only computes, so the processor time ends what computes too long; the wall time is for a process that
    hangs, and far above what a busy machine needs to give a preview its share.
    """

    memory_mib: int = 512
    cpu_s: int = 2
    wall_s: float = 30.0


def preview(
    name: str,
    source: str,
    variables: Mapping[str, object],
    snippets: Mapping[str, str] | None = None,
    environment: TemplateEnvironment | None = None,
    limits: SandboxLimits | None = None,
) -> Rendered:
    """Parse, compile and render a template file in a process that can be ended.

    Args:
        name: The template's name.
        source: The whole file, front matter first.
        variables: JSON values.
        snippets: As for `compile_template`.
        environment: As for `compile_template`; its zone must be an IANA zone.
        limits: What the process may use.

    Raises:
        InvalidInput: Whatever compiling or rendering raises; ``template.limit`` if the process had to be ended.
        Permanent: ``template.sandbox``, if the process could not do its work for any other reason.
    """
    limits = limits or SandboxLimits()
    task = {
        "name": name,
        "source": source,
        "variables": variables,
        "snippets": dict(snippets or {}),
        "environment": _packed(environment or TemplateEnvironment()),
        "limits": [limits.memory_mib, limits.cpu_s],
    }
    return _unpacked(_run(json.dumps(task).encode("ascii"), limits, name))


def _run(task: bytes, limits: SandboxLimits, name: str) -> bytes:
    command = [sys.executable, "-c", "from mailwright.rendering.sandbox import work; work()"]
    try:
        done = subprocess.run(
            command,
            input=task,
            capture_output=True,
            timeout=limits.wall_s,
            check=False,
            env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONSAFEPATH": "1"},
        )
    except subprocess.TimeoutExpired:
        raise _ended(name, f"it ran longer than {limits.wall_s:g} s") from None
    if done.returncode < 0 or b"MemoryError" in done.stderr:
        raise _ended(name, f"it needed more than {limits.memory_mib} MiB or {limits.cpu_s} s of processor time")
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise Permanent("template.sandbox", f"the preview of {name!r} could not run: {last}")
    return done.stdout


def _ended(name: str, why: str) -> InvalidInput:
    hint = "look for a loop or filter that makes far more than a mail can show"
    return InvalidInput.one("template.limit", f"the preview of {name!r} was ended: {why}", hint=hint)


def _packed(environment: TemplateEnvironment) -> dict[str, Any]:
    packed: dict[str, Any] = {
        "zone": str(environment.zone),
        "currency": environment.currency,
        "social_icon_origin": environment.social_icon_origin,
        "limits": asdict(environment.limits),
    }
    return packed


def _unpacked(answer: bytes) -> Rendered:
    result = json.loads(answer)
    if "code" in result:
        raise InvalidInput(result["code"], [_issue(issue) for issue in result["issues"]], result["hint"])
    return Rendered(**result | {"blanks": tuple(result["blanks"])})


def _issue(packed: dict[str, Any]) -> Issue:
    span = packed.pop("span")
    return Issue(**packed, span=Span(**span) if span else None)


# --- in the process


def work() -> None:
    """Read one task from standard input, answer on standard output. Runs in the process that `preview` starts."""
    task = json.loads(sys.stdin.buffer.read())
    memory_mib, cpu_s = task["limits"]
    resource.setrlimit(resource.RLIMIT_AS, (memory_mib * _MIB, memory_mib * _MIB))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.write(json.dumps(_answer(task)))


def _answer(task: Mapping[str, Any]) -> dict[str, Any]:
    packed = task["environment"]
    environment = TemplateEnvironment(
        **packed | {"zone": ZoneInfo(packed["zone"]), "limits": Limits(**packed["limits"])},
    )
    try:
        compiled = compile_template(parse_template(task["name"], task["source"]), task["snippets"], environment)
        return asdict(compiled.render(task["variables"]))
    except InvalidInput as error:
        return {"code": error.code, "issues": [asdict(issue) for issue in error.issues], "hint": error.hint}
