import pytest

from runpass.errors import ConfigurationError
from runpass.runner.control_plane import checked_url


@pytest.mark.parametrize(
    "url", ["https://runpass.example.com/", "http://127.0.0.1:8440", "http://localhost", "http://[::1]:1"]
)
def test_a_server_behind_tls_or_on_this_machine_is_accepted(url):
    assert checked_url(url) == url.rstrip("/")


@pytest.mark.parametrize("url", ["http://runpass.example.com", "http://10.0.0.1:8440", "http://localhost.example.com"])
def test_clear_text_to_another_machine_is_refused(url):
    with pytest.raises(ConfigurationError, match="https"):
        checked_url(url)


@pytest.mark.parametrize(
    "url", ["", "runpass.example.com", "ftp://localhost", "https://user:pw@host", "https://host?x=1"]
)
def test_what_is_not_a_plain_url_is_refused(url):
    with pytest.raises(ConfigurationError):
        checked_url(url)
