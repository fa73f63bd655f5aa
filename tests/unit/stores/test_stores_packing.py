import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import Corrupt
from mailwright.stores.records.packing import pack_bytes, pack_json, unpack_bytes, unpack_json

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(value=json_values)
def test_json_comes_back(value):
    assert unpack_json(pack_json(value)) == value


@pytest.mark.parametrize("data", [b"", b"x", b"mail " * 10_000, bytes(range(256)) * 300])
def test_bytes_come_back(data):
    assert unpack_bytes(pack_bytes(data)) == data


def test_no_flipped_or_cut_byte_gives_altered_bytes():
    data = bytes(range(256)) + b"a mail to somebody" * 20
    packed = pack_bytes(data)
    for place in range(len(packed)):
        flipped = packed[:place] + bytes([packed[place] ^ 0x10]) + packed[place + 1 :]
        for damaged in (flipped, packed[:place]):
            try:
                found = unpack_bytes(damaged)
            except Corrupt:
                continue
            assert found == data


def test_bytes_that_are_no_json_are_corrupt():
    with pytest.raises(Corrupt):
        unpack_json(pack_bytes(b"{"))
