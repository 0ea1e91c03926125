"""Valid requests of everybody who brings a bearer of their own: runners, relying parties, jobs."""

from surface_ask import AT, Ask
from surface_scene import Things, basic_of, bearer


def runner_door(things: Things, ids: dict[str, str]) -> list[Ask]:
    """Give what a runner asks."""
    token = {"fencingToken": things.lease.fencing_token}
    lease = {"lease_id": ids["lease"]}
    headers = {**bearer(things.runner.key), "Runpass-Lease-Secret": things.lease.lease_secret.reveal()}
    registration = {"name": "new", "version": "1", "protocol": 2, "isolation": "uid", "capacity": 1}
    step = {"name": "run", "order": 1, "status": "IN_PROGRESS", "startedAt": AT}
    event = {"step": "run", "number": 1, "at": AT, "level": "info", "message": "text"}
    refusal = {"code": "x", "reason": "text", "vaultError": "text", "hint": "text"}
    last_word = {**token, "outcome": "failure", "error": "text", "failedStep": "run", "refusal": refusal}
    purpose = {"kind": "credential", "credentialId": ids["assigned"]}
    door, tasks = "POST /runner/v1/run-leases", "POST /runner/v1/vault-tasks"
    holding = {**bearer(things.runner.key), "Runpass-Task-Secret": things.task_secret.reveal()}
    checks = [{"name": "dns", "verdict": "ok", "seen": "text", "nextStep": "text"}]
    return [
        Ask("POST /runner/v1/register", body=registration, headers=bearer(things.join_token)),
        Ask(door, headers=headers),
        Ask(f"{door}/{{lease_id}}/heartbeat", lease, body=token, headers=headers),
        Ask(f"{door}/{{lease_id}}/identity-token", lease, body={**token, "purpose": purpose}, headers=headers),
        Ask(f"{door}/{{lease_id}}/report", lease, body={**token, "steps": [step], "events": [event]}, headers=headers),
        Ask(
            f"{door}/{{lease_id}}/vault-logins/{{login_id}}",
            {**lease, "login_id": ids["login"]},
            body={**token, "given": {"accessor": "text", "ttlSeconds": 60, "renewable": True}},
            headers=headers,
        ),
        Ask(f"{door}/{{lease_id}}/finish", lease, body=last_word, headers=headers),
        Ask(tasks, headers=bearer(things.runner.key)),
        Ask(f"{tasks}/{{task_id}}/finish", {"task_id": ids["taken test"]}, body={"checks": checks}, headers=holding),
        Ask(
            f"{tasks}/{{task_id}}/swept",
            {"task_id": ids["left behind"]},
            body={"result": "failed", "said": "text", "hint": "text"},
            headers=holding,
        ),
        Ask(
            f"{tasks}/{{task_id}}/checked",
            {"task_id": ids["taken check"]},
            body={"reached": True, "refetched": "fetched", "probeVerdict": "refused-signature", "said": "text"},
            headers=holding,
        ),
    ]


def introspection(things: Things) -> Ask:
    """Give what a relying party asks."""
    user = (str(things.relying_party.party.id), things.relying_party.secret.reveal())
    return Ask("POST /introspect", headers=basic_of(*user))


def id_token(things: Things, ids: dict[str, str]) -> Ask:
    """Give what a job asks."""
    asks_with = things.lease.id_token_request_token
    assert asks_with is not None
    where, audience = {"lease_id": ids["lease"]}, {"audience": "sigstore"}
    return Ask("GET /id-token/v1/{lease_id}", where, audience, headers=bearer(asks_with))
