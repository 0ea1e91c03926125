"""A sealed file opens whole and unchanged, with its own key, or not at all."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.errors import InvalidInput
from runpass.secret import Secret
from runpass.server.keeping.sealed_stream import CHUNK_BYTES, MAGIC, FileKey, open_stream, seal_stream

KEY = FileKey(Secret("5a" * 32), is_passphrase=False)
OTHER = FileKey(Secret("5b" * 32), is_passphrase=False)
SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 7]


def sealed(content: bytes, key: FileKey = KEY, pieces: int = 3) -> bytes:
    file = io.BytesIO()
    size = len(content) // pieces + 1
    seal_stream(file, key, (content[start : start + size] for start in range(0, len(content), size)))
    return file.getvalue()


def opened(stored: bytes, key: FileKey = KEY) -> bytes:
    return b"".join(open_stream(io.BytesIO(stored), key))


def first_chunk(stored: bytes) -> int:
    start = len(MAGIC)
    return start + 4 + int.from_bytes(stored[start : start + 4], "big")


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_opens_again(size: int):
    content = bytes(index % 251 for index in range(size))
    assert opened(sealed(content)) == content


@given(st.binary(max_size=300), st.data())
def test_any_changed_byte_is_noticed(content: bytes, data: st.DataObject):
    stored = sealed(content)
    place = data.draw(st.integers(0, len(stored) - 1))
    changed = stored[:place] + bytes([stored[place] ^ data.draw(st.integers(1, 255))]) + stored[place + 1 :]
    with pytest.raises(InvalidInput):
        opened(changed)


@given(st.binary(max_size=300), st.data())
def test_a_file_that_was_cut_off_anywhere_or_grew_is_noticed(content: bytes, data: st.DataObject):
    stored = sealed(content)
    for changed in (stored[: data.draw(st.integers(0, len(stored) - 1))], stored + data.draw(st.binary(min_size=1))):
        with pytest.raises(InvalidInput):
            opened(changed)


def test_chunks_cannot_change_places_be_left_out_or_become_the_end():
    stored = sealed(bytes(3 * CHUNK_BYTES))
    start, size = first_chunk(stored), CHUNK_BYTES + 16
    head, chunks = stored[:start], [stored[at : at + size] for at in range(start, len(stored), size)]
    assert len(chunks) == 3
    one, two, three = chunks
    for changed in ([two, one, three], [one, three], [one, two], [one], [one, one, two, three], [three]):
        with pytest.raises(InvalidInput):
            opened(head + b"".join(changed))


def test_another_key_opens_nothing_and_one_key_never_gives_the_same_file_twice():
    stored = sealed(b"content")
    with pytest.raises(InvalidInput, match="does not open"):
        opened(stored, OTHER)
    assert stored != sealed(b"content")
    assert b"content" not in stored


def test_a_passphrase_opens_what_it_sealed_and_its_cost_is_in_the_header():
    key = FileKey(Secret("correct horse battery staple"), is_passphrase=True)
    stored = sealed(b"content", key)
    assert opened(stored, key) == b"content"
    header = json.loads(stored[len(MAGIC) + 4 : first_chunk(stored)])
    assert (header["kdf"], header["n"], header["r"], header["p"]) == ("scrypt", 131072, 8, 1)
    with pytest.raises(InvalidInput, match="with a passphrase"):
        opened(stored, KEY)
    with pytest.raises(InvalidInput, match="with a key file"):
        opened(sealed(b"content"), key)


@pytest.mark.parametrize("change", [{"n": 1 << 30}, {"n": 3}, {"r": 1 << 20}, {"p": 1000}, {"salt": "00"}, {"n": "x"}])
def test_a_header_cannot_ask_for_endless_work(change: dict[str, object]):
    header = {"kdf": "scrypt", "n": 1 << 17, "r": 8, "p": 1, "salt": "00" * 16, "prefix": "00" * 7, **change}
    encoded = json.dumps(header).encode()
    with pytest.raises(InvalidInput, match="does not open"):
        opened(
            MAGIC + len(encoded).to_bytes(4, "big") + encoded + bytes(32), FileKey(Secret("x" * 16), is_passphrase=True)
        )
