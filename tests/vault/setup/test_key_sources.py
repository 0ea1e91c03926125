"""Where a Vault takes the keys from: each way is set up, logs a run in, and shows no difference afterwards."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from declarations import as_toml, minimal
from fake_servers import certificates
from runpass.cli.vault_wanted import Wanted
from runpass.errors import InvalidInput
from runpass.vault import refusals
from runpass.vault.errors import RequestRefused, SetupConflict
from runpass.vault.login import jwt_login
from runpass.vault.public_keys import from_jwks
from runpass.vault.reconcile import plan, setup
from static_site import static_site
from throwaway_issuer import AUDIENCE


@pytest.fixture
def declare(tmp_path, own_issuer):
    """Write the file, with this `[issuer]`, and give what `--file` makes of it."""
    content = minimal(own_issuer)
    next(iter(content["roles"].values()))["audience"] = AUDIENCE

    def write(**issuer):
        content["issuer"] = {"url": f"{own_issuer.url}/", **issuer}
        file = tmp_path / "vault.toml"
        file.write_text(as_toml(content))
        return Wanted(file=file).target().state

    return write


@pytest.fixture
def vaults(vault, vault_root):
    """Without a token, and with the operator's."""
    return vault, vault_root


def log_in(vault, state, issuer):
    jwt = issuer.token(iss=state.auth.config.bound_issuer)
    return jwt_login(vault, mount=state.auth.path, role=state.roles[0].name, jwt=jwt)


def served(issuer, site: str, directory: Path) -> None:
    """Put both documents into a directory that is served at `site`."""
    known = directory / ".well-known"
    known.mkdir()
    (known / "jwks.json").write_bytes(issuer.jwks())
    metadata = {"issuer": site, "jwks_uri": f"{site}.well-known/jwks.json"}
    (known / "openid-configuration").write_text(json.dumps(metadata))


@pytest.mark.parametrize("keys", ["jwks", "discovery"])
def test_documents_behind_a_private_authority_are_fetched_with_its_certificate(
    keys, vaults, own_issuer, declare, tmp_path
):
    vault, vault_root = vaults
    ca, tls = certificates(tmp_path)
    (tmp_path / "site").mkdir()
    with static_site(tmp_path / "site", tls) as site:
        served(own_issuer, site, tmp_path / "site")
        with pytest.raises(RequestRefused, match="create config") as caught:
            setup(vault_root, declare(url=site, keys=keys))
        assert "issuer's keys" in caught.value.hint
        state = declare(url=site, keys=keys, ca_file=ca.name)
        setup(vault_root, state)
        assert plan(vault_root, state) == ()
        assert log_in(vault, state, own_issuer).client_token


def test_pushed_keys_need_no_issuer_and_a_rotation_is_a_difference(vault, vault_root, own_issuer, declare):
    state = declare(keys="pushed", jwks_url=own_issuer.jwks_url)
    setup(vault_root, state)
    fetched = own_issuer.fetches
    assert log_in(vault, state, own_issuer).client_token
    assert plan(vault_root, declare(keys="pushed", jwks_url=own_issuer.jwks_url)) == ()
    own_issuer.key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(refusals.LoginRefused):
        log_in(vault, state, own_issuer)
    assert own_issuer.fetches == fetched + 1  # the second plan, on this machine
    rotated = declare(keys="pushed", jwks_url=own_issuer.jwks_url)
    (change,) = setup(vault_root, rotated)
    assert change.parameters == ("jwt_validation_pubkeys",)
    assert log_in(vault, rotated, own_issuer).client_token
    assert plan(vault_root, rotated) == ()


def test_pushed_keys_may_come_from_a_file(vault, vault_root, own_issuer, declare, tmp_path):
    (tmp_path / "keys.pem").write_text("\n".join(from_jwks(own_issuer.jwks())))
    state = declare(keys="pushed", public_keys_file="keys.pem")
    setup(vault_root, state)
    assert own_issuer.fetches == 0
    assert log_in(vault, state, own_issuer).client_token


@pytest.mark.parametrize("content", ["", "no PEM", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_a_file_of_no_public_keys_is_refused(content, declare, tmp_path):
    (tmp_path / "keys.pem").write_text(content)
    with pytest.raises(InvalidInput, match="public keys in PEM"):
        declare(keys="pushed", public_keys_file="keys.pem")


def test_another_way_to_the_same_issuers_keys_wants_to_be_said(vault, vault_root, own_issuer, declare):
    setup(vault_root, declare(jwks_url=own_issuer.jwks_url))
    pushed = declare(keys="pushed", jwks_url=own_issuer.jwks_url)
    with pytest.raises(SetupConflict, match="another way: jwks_url"):
        setup(vault_root, pushed)
    (change,) = setup(vault_root, pushed, take_over=True)
    assert set(change.parameters) == {"jwt_validation_pubkeys", "jwks_url"}
    assert plan(vault_root, pushed) == ()
    assert log_in(vault, pushed, own_issuer).client_token


def test_the_authorities_of_another_source_do_not_stay_behind(vault_root, own_issuer, declare, tmp_path):
    ca, _ = certificates(tmp_path)
    setup(vault_root, declare(jwks_url=own_issuer.jwks_url, ca_file=ca.name))
    pushed = declare(keys="pushed", jwks_url=own_issuer.jwks_url)
    setup(vault_root, pushed, take_over=True)
    config = vault_root.read(f"auth/{pushed.auth.path}/config").data
    assert (config["jwks_ca_pem"], config["jwks_url"]) == ("", "")
