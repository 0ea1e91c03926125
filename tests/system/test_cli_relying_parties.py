"""`runpass relying-party`: made, listed and deleted as an admin does, and its secret taken at the door."""

import json

import httpx2


def test_a_relying_party_from_the_command_line(shell, tmp_path):
    file = tmp_path / "sts.json"
    words = ("--name", "sts", "--audience", "https://sts.example.com", "--audience", "api://two")
    made = shell.json("relying-party", "create", *words, "--output", str(file))
    assert "secret" not in made
    kept = json.loads(file.read_text())
    assert (file.stat().st_mode & 0o777, kept["id"]) == (0o600, made["id"])
    (listed,) = shell.json("relying-party", "list")
    assert listed["audiences"] == ["https://sts.example.com", "api://two"]

    def asked() -> httpx2.Response:
        url, client = f"{shell.server.url}/introspect", (kept["id"], kept["secret"])
        return httpx2.post(url, data={"token": "x"}, auth=client, trust_env=False)

    assert (asked().status_code, asked().text) == (200, '{"active": false}')
    metadata = httpx2.get(f"{shell.server.url}/.well-known/openid-configuration", trust_env=False).json()
    assert metadata["introspection_endpoint"] == f"{shell.server.url}/introspect"
    shell.run("relying-party", "delete", "sts")
    assert asked().status_code == 401
    shown = shell.run("relying-party", "create", *words).stdout
    assert "rpq_" in shown
    shell.run("relying-party", "delete", "sts")
