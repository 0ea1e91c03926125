"""The token matrix as data: every kind of bearer, and every door that takes one."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from string import ascii_letters
from typing import Any
from uuid import UUID, uuid4

import httpx2

from console import PASSWORD, new_person
from runpass.ids import OrganizationId
from runpass.secret import Secret
from runpass.server.access.api_keys import prove
from runpass.server.access.people import PersonRequest, invite_person
from runpass.server.access.permissions import OrganizationRole
from runpass.server.access.sessions import start_session
from runpass.server.vault_tasks.key_checks import want_key_checks
from runpass.server.vault_tasks.known_vaults import known_vaults
from runpass.server.web.cookies import SESSION
from token_scene import ELSEWHERE, REGISTRATION, Json, PlayedRunner, Standing, VaultSide, basic, bearer

LEASE, TASK = "Runpass-Lease-Secret", "Runpass-Task-Secret"
AT = "2026-01-02T03:04:05Z"
UNSIGNED = "eyJhbGciOiJub25lIn0.e30."
NOTHING = "nothing"
TURNS = 16
"""More than there are pools: one of as many checks goes to the runner's own."""

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Door:
    """One place of a request where a bearer goes. `send` asks with these headers, or with this JWT at a Vault."""

    name: str
    opened_by: str
    """Whose bearer is the right one; the request is complete with it."""
    send: Callable[[Any], httpx2.Response]
    right: Any
    ways: Callable[[str], Sequence[Any]]
    """All ways in which a bearer can be brought here; none of them is the right one unless it is equal to `right`."""


@dataclass
class Cast:
    """One of every kind of bearer, and what the doors are asked with."""

    standing: Standing
    worker: PlayedRunner
    root: VaultSide
    child: VaultSide
    lease: Json
    login_id: str
    tasks: Mapping[str, Json]
    """By the last word of the path at which their results are told."""
    join_token: str
    relying_party: str
    bearers: dict[str, str] = field(default_factory=dict)


def cast(standing: Standing) -> Cast:
    """Get one of every kind of bearer, each in the way in which its owner gets it."""
    root = standing.vault_side("v1")
    child = standing.vault_side("credential", f"team-{uuid4().hex[:8]}")
    gone, worker = standing.runner(), standing.runner()
    standing.vault_token(root, gone, standing.begin(root.project, gone))
    standing.ours.call("DELETE", f"/runners/{gone.id}")  # its token is left behind
    lease, other = standing.begin(root.project, worker), standing.begin(child.project, worker)
    (login, root_token), (own, child_token) = (
        standing.vault_token(side, worker, held) for side, held in ((root, lease), (child, other))
    )
    tested = {"projectId": root.project, "credentialId": root.credential}
    standing.ours.call("POST", "/connection-tests", tested)
    test = worker.given("/vault-tasks")
    join_token = standing.join_token(standing.ours, "matrix", uses=1000)["joinToken"]
    wanted = {"name": "sts", "organizationId": standing.ours.organization_id, "audiences": [ELSEWHERE]}
    party = standing.ours.call("POST", "/relying-parties", wanted)
    check = _key_check(standing, worker)
    sweep = worker.given("/vault-tasks?sweeps=true")  # last, since it is held for a minute only
    bearers = {
        "API key": standing.api_key[1],
        "relying party's secret": party["secret"],
        "join token": join_token,
        "runner key": worker.key,
        "run lease's secret": lease["leaseSecret"],
        "connection test's secret": test["taskSecret"],
        "sweep's secret": sweep["taskSecret"],
        "key check's secret": check["taskSecret"],
        "job's request token": lease["idTokenRequestToken"],
        "job's token": worker.identity(lease, kind="job")["token"],
        "job's token for elsewhere": worker.on_demand(lease, ELSEWHERE),
        "login token, of the shared audience": login["token"],
        "connection test's login token": test["loginToken"],
        "connection test's expired token": test["expiredToken"],
        "other job's token": worker.identity(other, kind="job")["token"],
        "other job's token for elsewhere": worker.on_demand(other, ELSEWHERE),
        "other job's token with the credential's audience": worker.on_demand(other, child.audience),
        "other login token, of an audience of its own": own["token"],
        "sweeper's token": sweep["sweeperToken"],
        "key check's token": check["refetchToken"],
        "Vault token": root_token["client_token"],
        "other Vault token": child_token["client_token"],
        "console's session": _session(standing),
        "a person's password": PASSWORD,
        "an invitation code": _invited(standing),
        "an unsigned token": UNSIGNED,
        NOTHING: "",
    }
    tasks = {"finish": test, "swept": sweep, "checked": check}
    return Cast(standing, worker, root, child, lease, login["loginId"], tasks, join_token, party["id"], bearers)


def _key_check(standing: Standing, worker: PlayedRunner) -> Json:
    with standing.parts.database.write() as tx:
        ours = [vault for vault in known_vaults(tx) if str(vault.organization_id) == standing.ours.organization_id]
        for turn in range(TURNS):
            want_key_checks(tx, ours[:1], standing.parts.clock.now(), about_kid="matrix", turn=turn)
    return worker.given("/vault-tasks?keyChecks=true")


def _session(standing: Standing) -> str:
    name, secret = standing.api_key
    actor = prove(standing.parts.database, name, Secret(secret), standing.parts.clock)
    with standing.parts.database.write() as tx:
        return start_session(tx, actor, standing.parts.clock.now()).reveal()


def _invited(standing: Standing) -> str:
    """Have one person join, with `PASSWORD`, and give the code of another one."""
    database, clock = standing.parts.database, standing.parts.clock
    new_person(standing.parts, OrganizationId(UUID(standing.ours.organization_id)), "joined")
    wanted = PersonRequest(
        organization_id=OrganizationId(UUID(standing.ours.organization_id)),
        sign_in_name="invited",
        display_name="invited",
        organization_role=OrganizationRole.ADMIN,
        project_roles={},
    )
    with database.write() as tx:
        return invite_person(tx, wanted, by="test", clock=clock).code.reveal()


def requests(cast: Cast) -> Iterator[tuple[Door, ...]]:
    """Give every request with its doors. A sweep is held for a minute only, so it comes soon; what ends a run, late."""
    for side, where in ((cast.root, "root"), (cast.child, "child namespace")):
        yield from _vault_doors(cast, side, where)
    yield from _runner_doors(cast)
    yield from _management_doors(cast)
    yield _page(cast, f"GET /console/organizations/{cast.standing.ours.organization_id}/outstanding")


def _vault_doors(cast: Cast, side: VaultSide, where: str) -> Iterator[tuple[Door]]:
    owners = {
        "credential": "login token, of the shared audience"
        if side is cast.root
        else "other login token, of an audience of its own",
        "job": "job's token" if side is cast.root else "other job's token",
        "elsewhere": "job's token for elsewhere" if side is cast.root else "other job's token for elsewhere",
        "runpass-sweeper": "sweeper's token",
    }
    for role, owner in owners.items():
        send = partial(cast.standing.log_in, side, role)
        yield (Door(f"OpenBao, {where}: login, role {role}", owner, send, cast.bearers[owner], _as_it_is),)
    owner = "Vault token" if side is cast.root else "other Vault token"
    read = partial(cast.standing.vault, "GET", f"{side.kv}/data/app", side.namespace)
    yield (Door(f"OpenBao, {where}: read a secret", owner, read, cast.bearers[owner], _as_it_is),)


def _as_it_is(value: str) -> list[str]:
    return [value]


def _asked(http: httpx2.Client, route: str, body: Any, extra: Headers, headers: Headers) -> httpx2.Response:
    method, path = route.split(" ")
    return http.request(method, path, json=body, headers={**extra, **headers})


def _runner_doors(cast: Cast) -> Iterator[tuple[Door, ...]]:
    lease, fenced = cast.lease, {"fencingToken": cast.lease["fencingToken"]}
    leases, tasks = "/runner/v1/run-leases", "/runner/v1/vault-tasks"
    step = {"name": "run", "order": 1, "status": "IN_PROGRESS", "startedAt": AT}
    of_lease = {
        "heartbeat": {},
        "identity-token": {"purpose": {"kind": "job"}},
        "report": {"steps": [step]},
        f"vault-logins/{cast.login_id}": {"given": {"accessor": "text", "ttlSeconds": 60}},
        "finish": {"outcome": "success"},
    }
    results = {  # the first is held for the shortest time
        "swept": ({"result": "failed"}, "sweep's secret"),
        "checked": ({"reached": True, "refetched": "fetch-failed"}, "key check's secret"),
        "finish": ({"checks": []}, "connection test's secret"),
    }
    for word, (body, owner) in results.items():
        yield _with_secret(cast, f"POST {tasks}/{cast.tasks[word]['taskId']}/{word}", body, owner)
    yield _by_key(cast, "POST /runner/v1/register", REGISTRATION, "join token")
    yield _by_key(cast, f"POST {leases}", None, "runner key")
    yield _by_key(cast, f"POST {tasks}", None, "runner key")
    yield _by_key(cast, f"GET /id-token/v1/{lease['leaseId']}?audience=x", None, "job's request token")
    yield _introspection(cast)
    for door, body in of_lease.items():
        route = f"POST {leases}/{lease['leaseId']}/{door}"
        yield _with_secret(cast, route, {**fenced, **body}, "run lease's secret")


def _by_key(cast: Cast, route: str, body: Any, owner: str) -> tuple[Door]:
    send = partial(_asked, cast.standing.http, route, body, {})
    return (Door(route, owner, send, bearer(cast.bearers[owner]), partial(_authorizations, cast)),)


def _introspection(cast: Cast) -> tuple[Door]:
    owner, party = "relying party's secret", cast.relying_party
    send = partial(_asked, cast.standing.http, "POST /introspect", None, {})
    right = basic(party, cast.bearers[owner])
    return (
        Door(
            "POST /introspect", owner, send, right, lambda value: [*_authorizations(cast, value), basic(party, value)]
        ),
    )


def _with_secret(cast: Cast, route: str, body: Json, owner: str) -> tuple[Door, Door]:
    """A door that asks for two bearers: each of them is tried while the other one is right."""
    header = LEASE if "run-leases" in route else TASK
    key, secret = bearer(cast.worker.key), {header: cast.bearers[owner]}
    http = cast.standing.http
    by_key, by_secret = partial(_asked, http, route, body, secret), partial(_asked, http, route, body, key)
    return (
        Door(route, "runner key", by_key, key, partial(_authorizations, cast)),
        Door(f"{route}, {header}", owner, by_secret, secret, lambda value: [{header: value} if value else {}]),
    )


def _authorizations(cast: Cast, value: str) -> list[dict[str, str]]:
    if not value:
        return [{}, {"Authorization": "Bearer"}, basic("", "")]
    return [bearer(value), basic(cast.standing.api_key[0], value), _cookie(value)]


def _cookie(value: str) -> dict[str, str]:
    return {"Cookie": f"{SESSION}={value}"}


def _page(cast: Cast, route: str) -> tuple[Door]:
    owner = "console's session"
    send = partial(_asked, cast.standing.http, route, None, {})
    return (Door(route, owner, send, _cookie(cast.bearers[owner]), partial(_authorizations, cast)),)


def _management_doors(cast: Cast) -> Iterator[tuple[Door]]:
    organization = f"?organizationId={cast.standing.ours.organization_id}"
    run, project = cast.lease["run"], cast.root.project
    test = {"projectId": project, "credentialId": cast.root.credential}
    environment = run["environmentId"]
    routes: dict[str, Any] = {
        "GET /api/organizations": None,
        f"GET /api/api-keys{organization}": None,
        f"GET /api/projects/{project}": None,
        f"GET /api/policies?projectId={project}": None,
        f"GET /api/credentials{organization}": None,
        "POST /api/connection-tests": test,
        f"GET /api/blueprints/{run['templateId']}": None,
        f"GET /api/configuration{organization}": None,
        f"GET /api/configuration-sets{organization}": None,
        f"GET /api/runners{organization}": None,
        f"GET /api/relying-parties{organization}": None,
        f"GET /api/vault-tokens/outstanding{organization}": None,
        f"GET /api/audit-events{organization}": None,
        f"GET /api/environments/{environment}": None,
        f"GET /api/scheduling/environments/{environment}": None,
        f"GET /api/deployments/{run['deploymentId']}/steps": None,
    }
    for route, body in routes.items():
        send = partial(_asked, cast.standing.http, route, body, {})
        right = basic(*cast.standing.api_key)
        yield (Door(route, "API key", send, right, partial(_authorizations, cast)),)


@dataclass(frozen=True)
class Line:
    """What one door said to each bearer: a status, several where it depends on how the bearer was brought."""

    name: str
    said: tuple[str, ...]

    def __str__(self) -> str:
        refused = Counter(self.said).most_common(1)[0][0]
        cells = "".join(f"{'.' if text == refused else text:>5}" for text in self.said)
        return f"{self.name:82}{cells}   {refused}"


def lines(cast: Cast) -> Iterator[Line]:
    """Try every bearer at every door. What opens a door comes last there, since it may be good for one time only."""
    for request in requests(cast):
        wrong = [_said_to_others(cast, door) for door in request]
        opened = request[0].send(request[0].right).status_code
        for door, said in zip(request, wrong, strict=True):
            said[door.opened_by].add(opened)
            yield Line(_neutral(cast, door.name), tuple(_text(statuses) for statuses in said.values()))


def _said_to_others(cast: Cast, door: Door) -> dict[str, set[int]]:
    """Give what a door says to each bearer in each way of bringing it, but to the right one in the right way."""
    return {
        name: {door.send(way).status_code for way in door.ways(value) if way != door.right}
        for name, value in cast.bearers.items()
    }


def _text(statuses: set[int]) -> str:
    """Give the status that tells most: one that opened; what refused the same bearer in another way goes unsaid."""
    opened = [status for status in statuses if status < httpx2.codes.BAD_REQUEST]
    return "/".join(map(str, sorted(opened or statuses)))


def _neutral(cast: Cast, name: str) -> str:
    """Give a door's name without what is another one each time."""
    for text in (cast.lease["leaseId"], *(task["taskId"] for task in cast.tasks.values()), cast.login_id):
        name = name.replace(text, "{id}")
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "{id}", name)


def table(cast: Cast) -> str:
    """Give the matrix as text: a line for each door, a column for each bearer."""
    columns = list(zip(ascii_letters, cast.bearers, strict=False))
    assert len(columns) == len(cast.bearers)
    legend = [f"{letter}  {name}" for letter, name in columns]
    head = f"{'':82}" + "".join(f"{letter:>5}" for letter, _ in columns) + "   all others"
    return "\n".join([*legend, "", head, *map(str, lines(cast))]) + "\n"
