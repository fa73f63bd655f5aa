"""``mailwright list``, as somebody types it."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "scenarios")]

from running_project import SETTINGS, done, mailwright, make_project, opened  # noqa: E402


def test_people_come_on_a_list_from_files_and_by_name(tmp_path: Path) -> None:
    shop = make_project(tmp_path / "shop", SETTINGS)
    here = ("--project", str(shop))
    file = tmp_path / "guests.csv"
    file.write_text("\ufeffname,email,user_id\nAda,Ada@Example.com,\nBob,,7\n", encoding="utf-8")
    assert done("list", "replace", "guests", str(file), *here) == "2 identifiers were taken for list guests.\n"
    done("list", "remove", "guests", "user_id:7", *here)
    with opened(shop) as there:
        last, _ = there.log.last()
        first, second = [record.body for record in there.log.read(last - 2, 2)]
        assert first.added == [f"email:{there.sealer.hash('email', 'ada@example.com')}", "user_id:7"]
        assert (first.replaced, second.removed) == (True, ["user_id:7"])


def test_a_number_is_taken_in_the_form_that_the_project_declares(tmp_path: Path) -> None:
    shop = make_project(tmp_path / "shop", SETTINGS)
    here = ("--project", str(shop))
    (shop / "profile.yaml").write_text("defaults: {country: DE}\ntraits:\n  phone: {normalise: phone}\n")
    done("apply", "--quick", "--no-wait", *here)
    done("list", "add", "guests", "phone:0171 1234567", *here)
    with opened(shop) as there:
        [record] = there.log.read(there.log.last()[0] - 1, 1)
        assert record.body.added == [f"phone:{there.sealer.hash('phone', '+491711234567')}"]


def test_a_file_that_names_nobody_changes_nothing(tmp_path: Path) -> None:
    shop = make_project(tmp_path / "shop", SETTINGS)
    file = tmp_path / "guests.csv"
    for text, said in (("name\nAda\n", "no column"), ("email\nada@example.com\n\n,\n", "names nobody")):
        file.write_text(text, encoding="utf-8")
        with opened(shop) as there:
            before = there.log.last()
        found = mailwright("list", "add", "guests", str(file), "--project", str(shop))
        assert found.returncode == 2
        assert said in found.stdout + found.stderr
        with opened(shop) as there:
            assert there.log.last() == before
