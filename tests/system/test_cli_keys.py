"""`runpass keys`: what an operator does with the shared issuer's keys, on a running server of their own."""

import json
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from programs import RunningServer, running_server, wait_until
from runpass.cli import exits


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server whose next key signs four seconds after it is asked for."""
    times = {"key_publish_ahead_seconds": 3, "jwks_max_age_seconds": 1, "key_ring_stale_seconds": 2}
    with running_server(
        tmp_path_factory.mktemp("keys"), signing_algorithm="ES256", token_lifetime_seconds=3600, **times
    ) as server:
        yield server


def published(server: RunningServer) -> list[str]:
    answer = httpx2.get(f"{server.url}/.well-known/jwks.json", trust_env=False)
    assert answer.headers["cache-control"] == "public, max-age=1"
    return [key["kid"] for key in answer.json()["keys"]]


def test_the_life_of_a_key_as_its_operator_sees_it(run, quick: RunningServer):
    place = ("--data-dir", str(quick.data_dir))

    def listed(*more: str) -> dict[str, str]:
        return {key["keyId"]: key["state"] for key in json.loads(run("keys", "list", "--json", *more, *place).stdout)}

    ((first, state),) = listed().items()
    assert state == "active"
    run("keys", "retire", first, *place, code=exits.CONFLICT)
    run("keys", "retire", "unknown", *place, code=exits.NOT_FOUND)

    assert f"the successor of {first} is wanted" in run("keys", "rotate", *place).stdout
    wait_until(lambda: len(published(quick)) == 2, "the next key is published")
    second = (set(published(quick)) - {first}).pop()
    assert listed()[second] == "upcoming"

    exported = json.loads(run("keys", "export-public", *place).stdout)
    assert [key.key_id for key in jwt.PyJWKSet.from_dict(exported).keys] == published(quick)
    pem = run("keys", "export-public", "--pem", *place).stdout
    blocks = [f"-----BEGIN{part}" for part in pem.split("-----BEGIN")[1:]]
    numbers = [load_pem_public_key(block.encode()).public_numbers() for block in blocks]
    assert numbers == [jwt.PyJWK(key).key.public_numbers() for key in exported["keys"]]
    assert "PRIVATE" not in pem
    assert {name for key in exported["keys"] for name in key}.isdisjoint({"d", "p", "q"})

    wait_until(lambda: listed() == {first: "retiring", second: "active"}, "the next key signs")
    refused = run("keys", "retire", first, *place, code=exits.CONFLICT)
    assert "tokens that this key signed are valid until" in refused.stderr
    assert published(quick) == [first, second]
    run("keys", "retire", first, "--yes", *place)
    wait_until(lambda: published(quick) == [second], "the removed key is not published any more")
    assert listed() == {second: "active"}
    assert listed("--all") == {first: "gone", second: "active"}
    assert "retiring" not in run("keys", "list", *place).stdout

    events = [json.loads(line) for line in run("audit", "export", *place).stdout.splitlines()]
    did = [(item["action"], item["actor"].partition(":")[0]) for item in events if item["subjectId"] in {first, second}]
    assert did == [
        ("signing_key.created", "system"),
        ("signing_key.rotation_wanted", "operator"),
        ("signing_key.created", "system"),
        ("signing_key.published", "system"),
        ("signing_key.retired", "system"),
        ("signing_key.activated", "system"),
        ("signing_key.removed_early", "operator"),
    ]


def test_monitoring_sees_ages_and_dates(quick: RunningServer):
    answer = httpx2.get(f"{quick.url}/readyz", trust_env=False).json()
    assert answer["checks"] == {"database": True, "migrations": True, "signingKey": True, "publishedKeys": True}
    keys = answer["signingKey"]
    assert keys["activeForSeconds"] >= 0
    assert 0 <= keys["ringAgeSeconds"] < 10
    assert keys["nextRotationAt"] > "2026"
    assert keys["withheldKeys"] == 0
    metrics = httpx2.get(f"{quick.url}/metrics", trust_env=False).text
    assert 'runpass_signing_keys{state="active"} 1.0' in metrics
    for name in ("signing_key_age_seconds", "signing_key_next_rotation_timestamp_seconds", "key_ring_age_seconds"):
        assert f"\nrunpass_{name} " in metrics


def test_there_is_no_way_to_the_keys_over_the_api(quick: RunningServer):
    admin = quick.found("any")
    with quick.http(admin) as http:
        paths = ("/api/keys", "/api/signing-keys", "/api/issuer/keys", "/.well-known/jwks.json")
        assert {http.post(path, json={"kid": "x"}).status_code for path in paths} <= {404, 405}


def test_a_database_that_is_not_there_is_not_made(run, tmp_path):
    run("keys", "list", "--data-dir", str(tmp_path / "nothing"), code=exits.USAGE)
    assert not (tmp_path / "nothing").exists()
