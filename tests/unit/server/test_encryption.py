"""A sealed value opens at its own place, with its own key, and nowhere else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import MASTER_KEY
from runpass.errors import ConfigurationError
from runpass.ids import new_id
from runpass.server.db.encryption import Cipher, CorruptColumn, Place

PLACE = Place("table", "column", "row", new_id())


@given(st.binary())
def test_what_is_sealed_opens_again(value: bytes):
    cipher = Cipher(MASTER_KEY)
    assert cipher.unseal(cipher.seal(value, PLACE), PLACE) == value


@pytest.mark.parametrize(
    "other",
    [
        replace(PLACE, table="other"),
        replace(PLACE, column="other"),
        replace(PLACE, row_id="other"),
        replace(PLACE, organization_id=new_id()),
        replace(PLACE, organization_id=None),
        replace(PLACE, table="tablec", column="olumn"),
        replace(PLACE, column="colum", row_id="nrow"),
    ],
)
def test_a_sealed_value_opens_at_no_other_place(other: Place):
    cipher = Cipher(MASTER_KEY)
    with pytest.raises(CorruptColumn, match="does not open: it was changed, or moved from another row"):
        cipher.unseal(cipher.seal(b"value", PLACE), other)


def test_another_master_key_opens_nothing_and_both_are_named():
    one, other = Cipher(MASTER_KEY), Cipher(bytes(32))
    with pytest.raises(CorruptColumn) as error:
        other.unseal(one.seal(b"value", PLACE), PLACE)
    assert f"was sealed with master key {one.key_id}, this is {other.key_id}" in error.value.message


def test_a_key_id_is_short_stable_and_tells_nothing_of_the_key():
    assert Cipher(MASTER_KEY).key_id == Cipher(bytes(range(32))).key_id
    assert Cipher(MASTER_KEY).key_id != Cipher(bytes(32)).key_id
    assert len(Cipher(MASTER_KEY).key_id) == 8
    assert Cipher(MASTER_KEY).key_id not in MASTER_KEY.hex()


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_master_key_has_exactly_256_bits(size: int):
    with pytest.raises(ConfigurationError, match="must be 32 bytes"):
        Cipher(bytes(size))


def test_nothing_of_the_value_stands_in_what_is_stored():
    sealed = Cipher(MASTER_KEY).seal(b"a-value-that-is-secret", PLACE)
    assert b"secret" not in sealed
    assert len({Cipher(MASTER_KEY).seal(b"x", PLACE) for _ in range(50)}) == 50
