"""Resources that a deployment is limited to: a list, or one text as env0's CLI sends it."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.server.environments.targets import split_targets


@pytest.mark.parametrize(
    ("given_targets", "found"),
    [
        (None, ()),
        ("", ()),
        (" , ,", ()),
        ("module.a", ("module.a",)),
        ("module.a, null_resource.b ,c.d", ("module.a", "null_resource.b", "c.d")),
        ('x.y["a,b"],x.z', ('x.y["a,b"]', "x.z")),
        (r'x.y["a\",b"],x.z', (r'x.y["a\",b"]', "x.z")),
        ('x.y["never closed,x.z', ('x.y["never closed,x.z',)),
        (["module.a", " b.c ", "", 'x["a,b"]'], ("module.a", "b.c", 'x["a,b"]')),
    ],
)
def test_addresses_are_told_apart(given_targets: str | Sequence[str] | None, found: tuple[str, ...]):
    assert split_targets(given_targets) == found


@given(st.lists(st.from_regex(r"[a-z]{1,5}\.[a-z]{1,5}(\[\"[a-z, ]{0,5}\"\])?", fullmatch=True)))
def test_what_is_joined_with_commas_comes_apart_again(addresses: list[str]):
    assert split_targets(",".join(addresses)) == tuple(addresses)
