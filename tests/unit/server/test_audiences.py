"""Which audiences a run may ask a token for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.errors import Forbidden, InvalidInput
from runpass.ids import new_id
from runpass.server.deployments.audiences import OwnAudiences, check_permitted, one_audience

OWN = OwnAudiences("https://id.example.com", ("https://runpass.example.com", "https://id.example.com/"))
OTHERS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255)


def permitted(audience: str, *assigned: str, limits: list[str] | None = None) -> bool:
    try:
        check_permitted(audience, OWN, assigned, limits)
    except Forbidden:
        return False
    return True


def test_who_asks_for_none_gets_the_shared_one():
    assert one_audience([], OWN.shared) == OWN.shared


@pytest.mark.parametrize("asked", [["a", "b"], [""], ["with space"], ["tab\t"], ["é"], ["x" * 256], ["\x7f"]])
def test_what_is_not_one_audience_is_refused_without_repeating_it(asked: list[str]):
    with pytest.raises(InvalidInput) as refused:
        one_audience(asked, OWN.shared)
    assert [item.field for item in refused.value.errors] == ["audience"]
    assert not asked[0].strip() or asked[0] not in ("with space", "é") or asked[0] not in refused.value.message


@pytest.mark.parametrize(
    "audience",
    ["sts.amazonaws.com", "https://vault.example.com", "sigstore", "api://x", "a", "https://runpass.example.com:8200"],
)
def test_what_is_nobodys_is_permitted(audience: str):
    assert permitted(audience)


@pytest.mark.parametrize(
    "audience",
    [
        "https://runpass.example.com",
        "https://RUNPASS.example.com/",
        "https://runpass.example.com:443/api",
        "http://runpass.example.com:443",
        "wss://runpass.example.com:443/x",
        "runpass.example.com",
        "runpass.example.com.",
        "https://id.example.com/",
        "https://id.example.com/o/1/",
        "https://user@id.example.com/",
        "http://runpass.example.com",
        "wss://runpass.example.com/x",
        "runpass.example.com:80",
        "https:/runpass.example.com",
        "https://runpass%2eexample.com/",
        "https:\\\\runpass.example.com",
    ],
)
def test_a_url_of_our_own_is_never_an_audience(audience: str):
    assert not permitted(audience)
    assert not permitted(audience, audience, limits=["*"])


def test_the_shared_audience_is_permitted_though_it_is_ours():
    assert permitted(OWN.shared, limits=[])


def test_what_belongs_to_a_credential_is_for_runs_that_have_it():
    mine, other = f"urn:runpass:credential:{new_id()}", f"urn:runpass:credential:{new_id()}"
    assert permitted(mine, mine)
    assert not permitted(other, mine)
    assert not permitted(other.upper(), mine)
    assert permitted("api://env0-vault", "api://env0-vault")
    assert not permitted("api://env0-vault", mine)
    assert not permitted(f"urn:runpass:sweeper:{new_id()}", mine)


def test_the_organization_limits_audiences_by_name_or_by_beginning():
    limits = ["sts.amazonaws.com", "https://vault.example.com/*"]
    assert permitted("sts.amazonaws.com", limits=limits)
    assert permitted("https://vault.example.com/team", limits=limits)
    assert not permitted("sts.amazonaws.com.evil.example", limits=limits)
    assert not permitted("https://vault.example.org/", limits=limits)
    assert not permitted("anything", limits=[])
    assert permitted("anything", limits=["*"])


@given(OTHERS, st.lists(OTHERS, max_size=3))
def test_a_limit_never_widens_what_is_permitted(audience: str, limits: list[str]):
    if permitted(audience, limits=limits):
        assert permitted(audience)
