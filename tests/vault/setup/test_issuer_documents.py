"""The issuer's documents, fetched by the operator's machine: what no issuer answers is a short sentence."""

import json

import pytest
from typer.testing import CliRunner

from fake_servers import answering, http
from runpass.cli import exits
from runpass.cli.main import app
from runpass.errors import ControlPlaneError
from runpass.vault.issuer_documents import MAX_DOCUMENT, fetch, fetch_documents
from runpass.vault.transport import Tls

ANSWERS = {
    "HTML": http(200, "<html>canary</html>"),
    "half": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
    "nothing": b"",
    "500": http(500, "canary"),
    "429": http(429, "canary"),
    "redirect": http(302, "", "Location: http://elsewhere.test/canary"),
    "a list": http(200, "[]"),
    "no issuer": http(200, '{"jwks_uri": "canary"}'),
    "an odd key set": http(200, '{"issuer": "x", "jwks_uri": "canary"}'),
    "huge": http(200, b"x" * (MAX_DOCUMENT + 1)),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_no_issuer_gives_is_a_short_sentence(what, tmp_path):
    with answering(ANSWERS[what]) as server:
        settings = {"RUNPASS_URL": server.address, "COLUMNS": "200"}
        refused = CliRunner().invoke(app, ["issuer", "export", str(tmp_path / "site")], env=settings)
    assert refused.exit_code == exits.NOT_REACHED, refused.output
    assert refused.stderr.startswith("error: ")
    assert len(refused.stderr) < 600
    assert "canary" not in refused.stderr
    assert not (tmp_path / "site").exists()


def test_nobody_there_is_told():
    with pytest.raises(ControlPlaneError, match="refused"):
        fetch("http://127.0.0.1:1/jwks", Tls(), timeout=2)


def test_a_key_set_without_keys_is_refused():
    with answering(http(200, '{"keys": 7}')) as keys:
        metadata = json.dumps({"issuer": "http://127.0.0.1/", "jwks_uri": keys.address})
        with answering(http(200, metadata)) as issuer, pytest.raises(ControlPlaneError, match="key set is not one"):
            fetch_documents(issuer.address, Tls(), timeout=5)
