"""A PostgreSQL server in a temporary folder, for tests: `postgres` as a fixture, or `postgres_server` as a context.

It refuses to run as root, so root starts it as the user ``postgres`` (or ``nobody``). Nothing of it is durable: it
lives as long as the tests.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PATIENCE_S = 240.0
TRIES = 5


@dataclass
class Postgres:
    """A running server; every test may have a database of its own."""

    port: int
    made: list[str] = field(default_factory=list)

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://tests@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """URL of a new, empty database."""
        import sqlalchemy as sa

        name = f"test_{len(self.made)}"
        self.made.append(name)
        engine = sa.create_engine(self.url(), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
        engine.dispose()
        return self.url(name)


def programs() -> Path | None:
    """The folder of initdb and postgres; None if they are not installed."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Start a server on a free loopback port, and stop it by its own process."""
    folder_of_programs = programs()
    if folder_of_programs is None:
        pytest.skip("PostgreSQL is not installed")
    pytest.importorskip("psycopg")
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="mw-postgres-"))
    try:
        data = folder / "data"
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        init = [str(folder_of_programs / "initdb"), "-D", str(data), "-U", "tests", "-A", "trust", "-E", "UTF8"]
        subprocess.run([*init, "--no-sync", "--locale=C"], check=True, capture_output=True, timeout=240, **_as(user))
        process, port = _started(folder_of_programs / "postgres", folder, user)
        try:
            yield Postgres(port)
        finally:
            process.send_signal(signal.SIGINT)  # a fast shutdown
            process.wait(240)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests of a run."""
    with postgres_server() as server:
        yield server


def _user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("there is no user but root, as whom PostgreSQL does not run")


def _as(user: pwd.struct_passwd | None) -> dict[str, object]:
    return {"cwd": "/"} | ({"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {})


def _started(program: Path, folder: Path, user: pwd.struct_passwd | None) -> tuple[subprocess.Popen[bytes], int]:
    """A server that answers, and its port; a port that was free may be taken by anybody before the server has it."""
    for _ in range(TRIES):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(folder),
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "max_connections": "60",  # one that was closed counts until its process has ended
            "shared_buffers": "16MB",
            "autovacuum": "off",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [str(program), "-D", str(folder / "data"), *settings]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **_as(user))
        if _answers(process, port, folder):
            return process, port
    raise AssertionError((folder / "log").read_text())


def _answers(process: subprocess.Popen[bytes], port: int, folder: Path) -> bool:
    """Wait until the server answers; false if it ends instead. Asked at its socket in `folder`, where no other is."""
    import psycopg

    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None:
        try:
            psycopg.connect(f"host={folder} port={port} user=tests dbname=postgres", connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                process.kill()
            threading.Event().wait(0.05)
        else:
            return True
    return False
