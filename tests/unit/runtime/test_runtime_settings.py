"""mailwright.toml and the environment."""

from pathlib import Path

import pytest

from mailwright.core.errors import InvalidInput, NotFound
from mailwright.core.instants import parse_iso
from mailwright.runtime.settings import load_settings

GOOD = '[project]\nname = "Shop"\n'


def loaded(folder: Path, text: str | bytes, environment: dict[str, str] | None = None):
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "mailwright.toml").write_bytes(data)
    return load_settings(folder, environment or {})


def test_what_is_not_said_is_as_documented(tmp_path: Path) -> None:
    settings = loaded(tmp_path, GOOD)
    assert settings.data_folder == tmp_path / "data"
    assert settings.base_url == "http://127.0.0.1:8080"
    assert settings.zone.key == "UTC"
    assert settings.channel.kind == "mailbox"


def test_the_environment_comes_last(tmp_path: Path) -> None:
    environment = {
        "MAILWRIGHT__DOOR__PORT": "9000",
        "MAILWRIGHT__SENDER__ALLOW_RESERVED_DOMAINS": "true",
        "MAILWRIGHT__PRIVACY__PERSONAL": "iban, birthday",
        "MAILWRIGHT_DEBUG": "1",
        "HOME": "/",
    }
    settings = loaded(tmp_path, GOOD + "[door]\nport = 80\n", environment)
    assert settings.door.port == 9000
    assert settings.sender.allow_reserved_domains is True
    assert settings.privacy.personal == ["iban", "birthday"]


def test_a_virtual_clock_begins_as_told(tmp_path: Path) -> None:
    settings = loaded(tmp_path, GOOD + '[clock]\nkind = "virtual"\nstart = "2026-11-02T08:00:00Z"\n')
    assert settings.clock_start == parse_iso("2026-11-02T08:00:00Z")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[project\n", "mailwright.toml:1:9: not valid TOML"),
        (
            '[project]\nnam = "x"\n',
            "mailwright.toml:2:1: unknown key 'nam'\n    nam = \"x\"\n    ^^^\n    hint: did you mean 'name'?",
        ),
        (GOOD + "[dor]\nport = 1\n", "mailwright.toml:3:2: unknown key 'dor'"),
        (GOOD + '[door]\nport = "80"\n', "mailwright.toml:4:1: Expected 'int', got 'str' ('80')"),
        (GOOD + "[door]\nport = 70000\n", "mailwright.toml:4:1: Expected 'int' <= 65535 (70000)"),
        (GOOD + 'time_zone = "Europe/Berln"\n', "unknown time zone 'Europe/Berln'"),
        (GOOD + 'time_zone = "Europe/Berln"\n', "hint: did you mean 'Europe/Berlin'?"),
        (GOOD + 'time_zone = "../etc/passwd"\n', "unknown time zone '../etc/passwd'"),
        (GOOD + '[clock]\nkind = "virtual"\n', "a virtual clock needs the instant at which it starts, not ''"),
        (GOOD + '[channel]\nkind = "smpt"\n', "hint: did you mean 'smtp'?"),
        ("door = 3\n" + GOOD, "Expected 'object', got 'int' (3)"),
        (GOOD.encode() + b"# \xff\n", "mailwright.toml: not UTF-8 text: byte 26 is 0xff"),
        ("", "Object missing required field 'project'"),
    ],
)
def test_faults(tmp_path: Path, text: str | bytes, wanted: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        loaded(tmp_path, text, {"MAILWRIGHT__DOOR__HOST": "::1"})
    assert wanted in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ("MAILWRIGHT__DOOR__PROT", "1", "which is no setting\n    hint: did you mean 'MAILWRIGHT__DOOR__PORT'?"),
        ("MAILWRIGHT__DOR__PORT", "1", "did you mean 'MAILWRIGHT__DOOR__PORT'?"),
        ("MAILWRIGHT__DOOR__PORT", "x", "MAILWRIGHT__DOOR__PORT='x'"),
    ],
)
def test_faults_of_the_environment(tmp_path: Path, variable: str, value: str, wanted: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        loaded(tmp_path, GOOD, {variable: value})
    assert wanted in str(caught.value)


def test_no_project(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is no Mailwright project"):
        load_settings(tmp_path, {})
