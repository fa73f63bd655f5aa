"""Every Blobs adapter is held to the docstrings of `mailwright.core.ports.Blobs`."""

import hashlib

import pytest

from mailwright.core.errors import Corrupt, NotFound
from mailwright.stores.blobs_folder import FolderBlobs
from mailwright.stores.memory import MemoryBlobs


@pytest.fixture(params=["folder", "memory"])
def blobs(request, tmp_path):
    return MemoryBlobs() if request.param == "memory" else FolderBlobs(tmp_path / "blobs")


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 4_000])
def test_bytes_come_back_under_their_hash(blobs, data):
    name = blobs.put(data)
    assert name == hashlib.sha256(data).hexdigest()
    assert blobs.get(name) == data
    assert blobs.put(data) == name


@pytest.mark.parametrize("name", ["0" * 64, "../../etc/passwd", "", "A" * 64, "0" * 63])
def test_a_name_that_is_none_is_not_found(blobs, name):
    with pytest.raises(NotFound):
        blobs.get(name)


def test_a_deleted_blob_is_gone(blobs):
    name, other = blobs.put(b"x"), blobs.put(b"y")
    blobs.delete(name)
    blobs.delete(name)
    with pytest.raises(NotFound):
        blobs.get(name)
    assert blobs.get(other) == b"y"


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"?" + data[1:], lambda data: b""])
def test_rotten_bytes_are_never_returned_and_a_put_repairs_them(tmp_path, damage):
    blobs = FolderBlobs(tmp_path)
    name = blobs.put(b"the bytes of a model")
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Corrupt, match=name):
        blobs.get(name)
    blobs.put(b"the bytes of a model")
    assert blobs.get(name) == b"the bytes of a model"
