"""The client's settings and the API key they lead to."""

import json
from uuid import UUID

import pytest

from runpass.cli.settings import access, load_settings, read_key_file, vault_token
from runpass.errors import ConfigurationError
from runpass.secret import Secret

ORGANIZATION = "01890a5d-ac96-774b-bcce-b302099a8057"
SECRET = "rps_very-secret"


def settings(**named):
    return load_settings(environment={f"RUNPASS_{name.upper()}": value for name, value in named.items()}).settings


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"organizationId": ORGANIZATION, "apiKeyId": "rpk_1", "apiKeySecret": SECRET}))
    return path


def test_the_key_comes_from_id_and_secret():
    found = access(settings(api_key_id="rpk_2", api_key_secret="s2"))
    assert (found.api_key_id, found.api_key_secret, found.organization_id) == ("rpk_2", Secret("s2"), None)


def test_the_key_file_brings_the_organization_with_it(key_file):
    found = access(settings(api_key_file=str(key_file)))
    assert (found.api_key_id, found.api_key_secret.reveal()) == ("rpk_1", SECRET)
    assert found.organization_id == UUID(ORGANIZATION)


def test_a_named_id_and_secret_win_over_the_file(key_file):
    found = access(settings(api_key_file=str(key_file), api_key_id="rpk_2", api_key_secret="s2"))
    assert found.api_key_id == "rpk_2"
    assert found.organization_id is None


def test_half_a_key_is_refused_with_the_name_of_the_other_half(key_file):
    with pytest.raises(ConfigurationError, match="RUNPASS_API_KEY_SECRET"):
        access(settings(api_key_id="rpk_2", api_key_file=str(key_file)))


def test_an_empty_variable_counts_as_absent(key_file):
    assert access(settings(api_key_id="", api_key_secret="", api_key_file=str(key_file))).api_key_id == "rpk_1"


def test_no_key_at_all_says_how_to_give_one():
    with pytest.raises(ConfigurationError) as caught:
        access(settings())
    assert "RUNPASS_API_KEY_FILE" in caught.value.hint


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_key_file_open_to_others_is_refused(key_file, mode):
    key_file.chmod(mode)
    with pytest.raises(ConfigurationError, match="open to others") as caught:
        read_key_file(key_file)
    assert "chmod 0600" in caught.value.hint


def test_a_file_that_is_no_key_is_refused_without_its_content(key_file):
    key_file.write_text('{"apiKeySecret": "rps_very-secret"}')
    with pytest.raises(ConfigurationError) as caught:
        read_key_file(key_file)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_file_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_key_file(tmp_path / "absent.json")


@pytest.mark.parametrize(
    "url", ["http://vault.example.com", "ftp://localhost", "https://u:p@host", "https://h?q=1", "x"]
)
def test_a_url_that_would_leak_the_key_or_is_none_is_refused(url):
    with pytest.raises(ConfigurationError, match="RUNPASS_URL") as caught:
        settings(url=url)
    assert url not in str(caught.value) or url == "x"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost", "https://example.com/"])
def test_https_and_this_machine_are_fine(url):
    assert settings(url=url).url == url.rstrip("/")


def test_all_bad_settings_are_named_at_once():
    with pytest.raises(ConfigurationError) as caught:
        settings(url="http://example.com", timeout_seconds="soon", organization_id="mine")
    assert all(name in str(caught.value) for name in ("url", "timeout_seconds", "organization_id"))
    assert "soon" not in str(caught.value)


def test_the_settings_file_is_found_by_its_variable(tmp_path):
    file = tmp_path / "client.toml"
    file.write_text('url = "https://runpass.example.com"\n')
    loaded = load_settings(environment={"RUNPASS_CLIENT_SETTINGS": str(file)})
    assert loaded.settings.url == "https://runpass.example.com"
    assert loaded.sources["url"] == str(file)


def test_shown_settings_hide_secrets():
    loaded = load_settings(environment={"RUNPASS_API_KEY_SECRET": SECRET})
    assert SECRET not in repr(loaded.shown())
    assert ("api_key_secret", "[secret]", "environment") in loaded.shown()


def test_the_vault_token_comes_from_openbaos_variable_before_vaults():
    assert vault_token({"VAULT_TOKEN": "v", "BAO_TOKEN": "b\n"}) == Secret("b")
    assert vault_token({"VAULT_TOKEN": "v", "BAO_TOKEN": ""}) == Secret("v")
    assert vault_token({}) is None
