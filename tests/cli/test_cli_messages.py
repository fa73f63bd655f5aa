"""Bad input to the command line: one clear message on standard error, the documented exit code, nothing half-done."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent.parent / "scenarios")]

from running_project import SETTINGS, done, mailwright, make_project, opened, serving, wait_until  # noqa: E402

from mailwright.cli import processes  # noqa: E402
from mailwright.cli.processes import show_address  # noqa: E402
from mailwright.runtime.installation import Installation  # noqa: E402


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was applied; tests here leave it as it is."""
    return make_project(tmp_path_factory.mktemp("cli") / "shop")


def refused(*args: str, code: int, env: dict[str, str] | None = None) -> str:
    """The message of a run that must fail."""
    ran = mailwright(*args, env=env)
    assert ran.returncode == code, ran.stderr
    assert ran.stderr.startswith("error: ")
    assert "Traceback" not in ran.stderr + ran.stdout
    return ran.stderr


def changed(shop: Path, to: Path, **files: str) -> Path:
    """A copy of the definitions with other files."""
    for path in shop.rglob("*"):
        if path.is_file() and "data" not in path.relative_to(shop).parts:
            (to / path.relative_to(shop)).parent.mkdir(parents=True, exist_ok=True)
            (to / path.relative_to(shop)).write_bytes(path.read_bytes())
    for name, text in files.items():
        (to / name.replace("__", "/").replace("_dot_", ".")).write_text(text)
    return to


def test_a_newcomers_first_steps(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    assert "mailwright plan" in done("init", str(folder))
    assert not (folder / "data").exists()
    assert "attributes.yaml: orders" in done("plan", "--project", str(folder))
    assert "Version 1 is in force" in done("apply", "--project", str(folder))
    assert "Nothing to do: version 1 is in force" in done("apply", "--project", str(folder))


def test_init_into_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert f"{tmp_path} is not empty" in refused("init", str(tmp_path), code=4)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_no_project(tmp_path: Path) -> None:
    message = refused("serve", "--project", str(tmp_path), code=3)
    assert "is no Mailwright project: there is no mailwright.toml" in message
    assert "hint: run `mailwright init DIR`" in message
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_definition(shop: Path, tmp_path: Path) -> None:
    folder = changed(shop, tmp_path, segments_dot_yaml="customers:\n  title: C\n  rule: ordrs >= 1\n")
    message = refused("apply", "--project", str(folder), code=2)
    assert "segments.yaml:3:9: there is no attribute 'ordrs'\n      rule: ordrs >= 1\n            ^^^^^\n" in message
    assert "hint: did you mean 'orders'?" in message
    with opened(folder) as there:
        assert there.records.definitions.current() is None


def test_a_variable_that_nobody_has(shop: Path, tmp_path: Path) -> None:
    template = (shop / "templates" / "news.mjml").read_text().replace("{{ first_name }}", "{{ frist_name }}")
    folder = changed(shop, tmp_path, templates__news_dot_mjml=template)
    message = refused("plan", "--project", str(folder), code=2)
    assert "nobody provides the variable 'frist_name' in the mail of campaigns/weekly_news.yaml:6" in message
    assert "hint: did you mean 'first_name'?" in message


def test_serving_before_the_first_apply(shop: Path, tmp_path: Path) -> None:
    folder = changed(shop, tmp_path)
    assert "nothing was applied yet" in refused("serve", "--port", "0", "--project", str(folder), code=3)
    assert not (folder / "data" / "engine.sock").exists()


def test_a_port_in_use(shop: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        message = refused("serve", "--port", port, "--project", str(shop), code=4)
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in message
    assert "--port 0" in message


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_well_however_early_it_is_told_to(
    shop: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """The very moment at which it has said how to stop it."""
    shown: list[str] = []

    def show(there: Installation, base_url: str) -> None:
        show_address(there, base_url)
        shown.append(base_url)
        signal.raise_signal(number)

    before = {one: signal.signal(one, signal.default_int_handler) for one in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr(processes, "show_address", show)
    monkeypatch.setattr(processes, "children", lambda *_, **__: [])
    try:
        processes.serve(shop, port=0, jobs=False)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert len(shown) == 1


def test_a_second_serve(shop: Path) -> None:
    with serving(shop) as served:
        message = refused("serve", "--port", "0", "--project", str(shop), code=4)
        assert f"Mailwright already runs on {shop / 'data'} (pid {served.process.pid})" in message
        wait_until("the first one still answers", served.ready)
    assert served.process.returncode == 0


def test_a_setting_that_is_none(shop: Path) -> None:
    message = refused("plan", "--project", str(shop), code=2, env={"MAILWRIGHT__DOOR__PROT": "1"})
    assert "did you mean 'MAILWRIGHT__DOOR__PORT'?" in message


def test_another_clock_than_the_data_folders(shop: Path, tmp_path: Path) -> None:
    folder = changed(shop, tmp_path, mailwright_dot_toml=SETTINGS.replace('"virtual"', '"system"'))
    done("plan", "--project", str(folder))
    (folder / "mailwright.toml").write_text(SETTINGS)
    assert "made with a system clock" in refused("plan", "--project", str(folder), code=4)


def test_a_mail_that_is_none(shop: Path) -> None:
    assert "there is no mail 'm-1'" in refused("explain", "m-1", "--project", str(shop), code=3)


def test_a_damaged_database(shop: Path, tmp_path: Path) -> None:
    folder = changed(shop, tmp_path)
    (folder / "data").mkdir()
    (folder / "data" / "log.sqlite").write_bytes(b"no database at all " * 1000)
    message = refused("plan", "--project", str(folder), code=6)
    assert "log.sqlite is damaged" in message


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root is let past the permissions that stop others, and sees another error"
)
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """/proc takes no folders from anybody."""
    message = refused("init", "/proc/shop", code=1)
    assert "/proc/shop" in message
    assert "the operating system refused it" in message


def test_an_error_that_nobody_foresaw_is_one_line_unless_asked_for(shop: Path, tmp_path: Path) -> None:
    """A library that is not what it should be stands for whatever else may be broken."""
    (tmp_path / "fastapi.py").write_text("raise ArithmeticError('not foreseen')\n")

    def login(**more: str) -> subprocess.CompletedProcess[str]:
        """In a process of its own: this one has the library already."""
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), **more}
        command = [sys.executable, "-m", "mailwright", "login", "--project", str(shop)]
        return subprocess.run(command, capture_output=True, text=True, timeout=240, env=env, check=False)

    ran = login()
    assert (ran.returncode, "Traceback" in ran.stderr + ran.stdout) == (70, False)
    assert ran.stderr.startswith("error: ArithmeticError: not foreseen")
    assert "this is a fault in Mailwright" in ran.stderr
    ran = login(MAILWRIGHT_DEBUG="1")
    assert ran.returncode == 1
    assert "Traceback" in ran.stderr
