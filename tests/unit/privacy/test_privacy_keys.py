"""Keys are made once, kept to oneself, and never replaced silently."""

import pytest

from mailwright.core.errors import Corrupt, NotFound, Permanent
from mailwright.privacy import KeyRing, add_key


def test_keys_are_made_once_and_for_the_owner_alone(tmp_path):
    folder = tmp_path / "data" / "keys"
    made = KeyRing.open(folder)
    assert KeyRing.open(folder) == made
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in folder.iterdir()} == {"data-1.key", "hash-1.key", "links-1.key"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
    assert [path.name for path in folder.parent.iterdir()] == ["keys"]
    assert len({made.data[1], made.hash, made.links[1]}) == 3
    assert made.hash.hex() not in repr(made)


def test_an_empty_folder_that_is_there_already_is_filled(tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o755)
    assert KeyRing.open(folder) == KeyRing.open(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_no_keys_are_made_where_there_should_be_some(tmp_path):
    with pytest.raises(NotFound, match="no keys"):
        KeyRing.open(tmp_path / "keys", create=False)


@pytest.mark.parametrize("lost", ["data-1.key", "hash-1.key", "links-1.key"])
def test_a_lost_key_is_not_replaced(tmp_path, lost):
    KeyRing.open(tmp_path / "keys")
    (tmp_path / "keys" / lost).unlink()
    with pytest.raises(Corrupt, match=lost):
        KeyRing.open(tmp_path / "keys")


def test_a_key_that_others_may_read_is_refused(tmp_path):
    KeyRing.open(tmp_path / "keys")
    (tmp_path / "keys" / "hash-1.key").chmod(0o640)
    with pytest.raises(Permanent, match="other users may read") as caught:
        KeyRing.open(tmp_path / "keys")
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "mailwright-key-1 data AAAA\n", "mailwright-key-1 hash " + "A" * 43 + "=\n", "x y z\n"]
)
def test_a_file_that_is_no_key_stops_everything(tmp_path, text):
    KeyRing.open(tmp_path / "keys")
    (tmp_path / "keys" / "data-1.key").write_text(text)
    with pytest.raises(Corrupt, match=r"data-1\.key is not a key file"):
        KeyRing.open(tmp_path / "keys")


def test_rotation_adds_a_key_and_keeps_the_old_ones(tmp_path):
    before = KeyRing.open(tmp_path / "keys")
    assert (add_key(tmp_path / "keys", "links"), add_key(tmp_path / "keys", "data")) == (2, 2)
    after = KeyRing.open(tmp_path / "keys")
    assert after.links[1] == before.links[1]
    assert set(after.links) == set(after.data) == {1, 2}
    with pytest.raises(Permanent, match="cannot be replaced"):
        add_key(tmp_path / "keys", "hash")
