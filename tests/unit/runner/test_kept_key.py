import pytest

from runpass.errors import ConfigurationError
from runpass.ids import new_id
from runpass.protocol.registration import Registered
from runpass.runner import kept_key
from runpass.secret import Secret

URL = "https://runpass.example.com"


def registered():
    return Registered(
        runner_id=new_id(), runner_key=Secret("key-value"), organization_id=new_id(), pool="default", lease_seconds=30
    )


def test_the_key_is_kept_for_this_server_and_its_owner_alone(tmp_path):
    state = tmp_path / "state"
    kept_key.open_state_dir(state)
    who = registered()
    kept_key.keep(state, URL, who)
    assert kept_key.load(state, URL) == who
    assert kept_key.load(state, "https://other.example.com") is None
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / kept_key.FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_runner_without_a_key_has_to_join(tmp_path):
    assert kept_key.load(tmp_path, URL) is None


def test_a_broken_key_file_stops_the_start_and_is_not_quoted(tmp_path):
    (tmp_path / kept_key.FILE_NAME).write_text('{"registered": "key-value"}')
    with pytest.raises(ConfigurationError) as caught:
        kept_key.load(tmp_path, URL)
    assert "key-value" not in str(caught.value)


def test_a_directory_open_to_others_is_closed(tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    kept_key.open_state_dir(state)
    assert state.stat().st_mode & 0o777 == 0o700
