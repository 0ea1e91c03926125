import pytest

from runpass.errors import ConfigurationError
from runpass.runner.settings import RunnerSettings, load_settings


def load(**variables):
    given = {"RUNPASS_URL": "https://runpass.example.com"} | variables
    return load_settings(environment=given).settings


def test_settings_come_from_the_environment():
    settings = load(RUNPASS_CAPACITY="4", RUNPASS_TOOL_PATH="/opt/a:/opt/b", RUNPASS_ALLOW_UNISOLATED="true")
    assert settings.capacity == 4
    assert [str(path) for path in settings.tool_path] == ["/opt/a", "/opt/b"]
    assert settings.allow_unisolated
    assert settings.name


def test_a_file_gives_settings_that_the_environment_replaces(tmp_path):
    file = tmp_path / "runner.toml"
    file.write_text('url = "https://file.example.com"\nname = "from-file"\ncapacity = 3\n')
    settings = load_settings(environment={"RUNPASS_RUNNER_SETTINGS": str(file), "RUNPASS_CAPACITY": "5"}).settings
    assert (settings.url, settings.name, settings.capacity) == ("https://file.example.com", "from-file", 5)


def test_options_replace_everything():
    assert load_settings(environment={"RUNPASS_URL": "https://a"}, url="https://b").settings.url == "https://b"


def test_all_bad_settings_are_named_together_and_no_value_is_repeated():
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment={"RUNPASS_CAPACITY": "bad-capacity", "RUNPASS_LOG_LEVEL": "bad-level"})
    assert all(name in caught.value.message for name in ("url", "capacity", "log_level"))
    assert "bad-capacity" not in caught.value.message
    assert "bad-level" not in caught.value.message


@pytest.mark.parametrize(
    "variables",
    [
        {"RUNPASS_WORK_DIR": "relative"},
        {"RUNPASS_TOOL_PATH": "relative"},
        {"RUNPASS_STATE_DIR": "/a", "RUNPASS_WORK_DIR": "/a/b"},
        {"RUNPASS_PASSTHROUGH": "RUNPASS_JOIN_TOKEN"},
    ],
)
def test_settings_that_would_be_unsafe_are_refused(variables):
    with pytest.raises(ConfigurationError):
        load(**variables)


def test_jobs_get_only_language_time_zone_and_what_is_passed_through():
    settings = load(
        RUNPASS_PASSTHROUGH="REGION", LANG="C", LC_ALL="C", TZ="UTC", REGION="eu", AWS_SECRET="x", PATH="/x"
    )
    assert settings.host_environment == {"LANG": "C", "LC_ALL": "C", "TZ": "UTC", "REGION": "eu"}


def test_the_join_token_is_read_from_its_file_and_never_shown(tmp_path):
    file = tmp_path / "join"
    file.write_text("token-value\n")
    settings = load(RUNPASS_JOIN_TOKEN_FILE=str(file))
    token = settings.read_join_token()
    assert token is not None
    assert token.reveal() == "token-value"
    assert "token-value" not in repr(load(RUNPASS_JOIN_TOKEN="token-value"))


def test_a_join_token_file_that_is_missing_stops_the_start(tmp_path):
    with pytest.raises(ConfigurationError):
        load(RUNPASS_JOIN_TOKEN_FILE=str(tmp_path / "none")).read_join_token()


def test_every_setting_is_described():
    assert all(field.description for field in RunnerSettings.model_fields.values())
