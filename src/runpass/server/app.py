"""The composition root: opens nothing, knows every room, and reads as a table of contents."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route

from runpass import __version__
from runpass.errors import Forbidden, RunpassError
from runpass.ids import PoolId
from runpass.server.access import api as api_keys
from runpass.server.access import audit_api as audit_events
from runpass.server.access import audit_pages
from runpass.server.access import pages as access_pages
from runpass.server.access.logins import Logins
from runpass.server.access.refusals import Refusals, on_forbidden
from runpass.server.access.sessions import forget_sessions
from runpass.server.access.sign_ins import SignIns
from runpass.server.credentials import api as credentials
from runpass.server.credentials import form_pages as credential_form_pages
from runpass.server.credentials import pages as credential_pages
from runpass.server.credentials import project_pages as project_credential_pages
from runpass.server.credentials import recorded_issuers_api as recorded_issuers
from runpass.server.credentials import set_up_pages as credential_set_up_pages
from runpass.server.deployments import api as deployments
from runpass.server.deployments import deployment_pages as one_deployment_pages
from runpass.server.deployments import log_pages, login_store, outstanding_api, runners_ending
from runpass.server.deployments import pages as deployment_pages
from runpass.server.deployments import policy_pages as organization_policy_pages
from runpass.server.deployments import runners_pages as runner_ending_pages
from runpass.server.deployments import store as deployment_store
from runpass.server.deployments import subject_preview_api as subject_preview
from runpass.server.deployments.audiences import OwnAudiences
from runpass.server.deployments.id_token_door import IdTokenDoor
from runpass.server.deployments.identity import Passport
from runpass.server.deployments.keeper import again_and_again, end_lost_runs, settle_logins
from runpass.server.deployments.log_watch import LogWatch
from runpass.server.deployments.run_leases import LeaseRules
from runpass.server.deployments.runner_door import RunnerDoor
from runpass.server.deployments.wakeups import Wakeups
from runpass.server.environments import actions_api as environment_actions
from runpass.server.environments import api as environments
from runpass.server.environments import deploying_pages, environment_pages, projects_ending
from runpass.server.environments import project_pages as one_project_pages
from runpass.server.environments import scheduling_api as scheduling
from runpass.server.environments.keeper import end_lifespans, forget_idempotency_keys
from runpass.server.environments.lifespan_ends import Lifespans
from runpass.server.first_page import pages as first_pages
from runpass.server.health import Health
from runpass.server.http.errors import HANDLERS
from runpass.server.http.limiting import Limits, RequestLimit
from runpass.server.http.middleware import RequestShell, SizeLimit
from runpass.server.http.openapi import ManagementApi, operation_id
from runpass.server.http.peers import PeerGuard
from runpass.server.http.stopping import when_stopping
from runpass.server.http.straight import StraightWay
from runpass.server.issuer.addresses import addresses_of
from runpass.server.issuer.api import IssuerDocuments
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.own_issuers import OwnIssuerDocuments, OwnMinters
from runpass.server.issuer.presence import Presence
from runpass.server.issuer.rings import REFRESH_EVERY_SECONDS
from runpass.server.keeping.keeper import follow_master_key, forget_old_deployments, forget_old_events, forget_old_logs
from runpass.server.keeping.settling import Settling
from runpass.server.openid import pages as openid_pages
from runpass.server.opening import Parts
from runpass.server.people import api_key_pages, person_pages
from runpass.server.people import pages as people_pages
from runpass.server.relying_parties import api as relying_parties
from runpass.server.relying_parties import pages as relying_party_pages
from runpass.server.relying_parties.door import IntrospectionDoor
from runpass.server.relying_parties.introspection import Introspection
from runpass.server.relying_parties.share import PartyShare
from runpass.server.runners import api as runners
from runpass.server.runners import pages as runner_pages
from runpass.server.templates import api as templates
from runpass.server.templates import pages as template_pages
from runpass.server.templates import template_pages as one_template_pages
from runpass.server.tenancy import issuer_api as organization_issuers
from runpass.server.tenancy import organizations_api as organizations
from runpass.server.tenancy import policies_api as policies
from runpass.server.tenancy import project_pages, project_policy_pages, set_up_pages
from runpass.server.tenancy import projects_api as projects
from runpass.server.variables import api as variables
from runpass.server.variables import pages as variable_pages
from runpass.server.variables import sets_api as variable_sets
from runpass.server.variables import variable_pages as one_variable_pages
from runpass.server.vault_tasks import api as connection_tests
from runpass.server.vault_tasks import key_check_store, verifiers_api
from runpass.server.vault_tasks import pages as signing_key_pages
from runpass.server.vault_tasks import store as task_store
from runpass.server.vault_tasks import test_pages as connection_test_pages
from runpass.server.vault_tasks.confirmations import LOOK_EVERY_SECONDS, ConfirmationKeeper
from runpass.server.vault_tasks.connection_tests import TestRules
from runpass.server.vault_tasks.runner_door import TaskDoor
from runpass.server.vault_tasks.sightings import Sightings
from runpass.server.web import errors as web_errors
from runpass.server.web.assets import Assets
from runpass.server.web.pages import Pages
from runpass.server.web.places import CONSOLE, to_home

ROOMS = (
    organizations,
    subject_preview,
    organization_issuers,
    recorded_issuers,
    api_keys,
    projects,
    projects_ending,
    policies,
    credentials,
    verifiers_api,
    connection_tests,
    templates,
    deployments,
    environments,
    environment_actions,
    scheduling,
    variables,
    variable_sets,
    runners,
    runners_ending,
    outstanding_api,
    relying_parties,
    audit_events,
)

PAGES = (
    *(access_pages, openid_pages, person_pages, people_pages, api_key_pages, set_up_pages, first_pages),
    *(project_pages, one_project_pages, template_pages, deployment_pages, runner_pages, runner_ending_pages),
    *(signing_key_pages, one_deployment_pages, log_pages, one_template_pages, credential_pages),
    *(project_credential_pages, relying_party_pages, variable_pages, one_variable_pages, connection_test_pages),
    *(credential_form_pages, credential_set_up_pages, audit_pages, organization_policy_pages, project_policy_pages),
    *(environment_pages, deploying_pages),
)
SECTIONS = tuple(section for room in PAGES for section in getattr(room, "NAVIGATION", ()))


def build_app(parts: Parts) -> Starlette:
    """Give the ASGI application of an opened server."""
    settings = parts.settings
    wakeups = Wakeups()
    lifetime = timedelta(seconds=settings.lease_seconds)
    rules = LeaseRules(parts.database, parts.cipher, parts.clock, lifetime, settings.max_log_bytes)
    addresses = addresses_of(settings)
    own_minters = OwnMinters(parts.rings, addresses, parts.clock)
    minter = Minter(parts.ring, settings.issuer_url, parts.clock, own_minters.of)
    token_lifetime = timedelta(seconds=settings.token_lifetime_seconds)
    own = OwnAudiences(settings.audience, (settings.public_url, settings.issuer_url))
    passport = Passport(rules, minter, own=own, lifetime=token_lifetime)
    longest_wait, most_waiting = settings.long_poll_seconds, settings.max_waiting_runners
    door = RunnerDoor(rules, passport, wakeups, longest_wait=longest_wait, most_waiting=most_waiting)
    sightings = Sightings(parts.database, parts.clock)
    documents = IssuerDocuments(
        parts.ring,
        settings.issuer_url,
        settings.jwks_url,
        max_age_seconds=settings.jwks_max_age_seconds,
        on_fetch=sightings.saw,
        introspection_url=addresses.introspection_url,
    )
    own_documents = OwnIssuerDocuments(parts.rings, addresses, max_age_seconds=settings.jwks_max_age_seconds)
    share = PartyShare(parts.clock, _limits(parts))
    introspection = Introspection(parts.database, parts.clock, parts.rings, addresses, settings.audience, share)
    id_tokens = IdTokenDoor(passport)
    api, pages = build_api(parts, wakeups), Pages(SECTIONS)
    busiest = [*documents.routes(settings.documents_path), *door.minting_routes(), *id_tokens.routes()]
    routes: list[BaseRoute] = [
        *documents.routes(settings.documents_path),
        *own_documents.routes(settings.documents_path),
        *door.routes(),
        *id_tokens.routes(),
        *IntrospectionDoor(introspection).routes(),
        *TaskDoor(_test_rules(parts, minter), door, most_waiting=most_waiting).routes(),
        *Health(parts.database, parts.rings).routes(),
        Mount("/api", api),
        Route("/", to_home, methods=["GET"]),
        Route(CONSOLE, to_home, methods=["GET"]),
        Mount(CONSOLE, build_console(api, pages)),
    ]
    app = Starlette(
        routes=routes,
        middleware=[*_shell(parts, pages), Middleware(StraightWay, routes=busiest)],
        exception_handlers=HANDLERS,
        lifespan=lambda _: _lifespan(parts, rules, wakeups, sightings),
    )
    app.router.redirect_slashes = False
    return app


def _test_rules(parts: Parts, minter: Minter) -> TestRules:
    settings = parts.settings
    return TestRules(parts.database, parts.cipher, parts.clock, minter, settings.audience, addresses_of(settings))


def _shell(parts: Parts, pages: Pages) -> list[Middleware]:
    """Give what every request passes through, the outermost first."""
    settings = parts.settings
    encrypted = settings.tls_certificate is not None
    limits = _limits(parts)
    return [
        Middleware(RequestShell, clock=parts.clock),
        Middleware(PeerGuard, trusted=settings.trusted_proxies, encrypted=encrypted),
        Middleware(RequestLimit, clock=parts.clock, limits=limits, refuse=web_errors.refusing(pages)),
        Middleware(SizeLimit, max_body_bytes=settings.max_body_bytes),
    ]


def build_api(parts: Parts | None, wakeups: Wakeups) -> ManagementApi:
    """Give the management API; without parts it can only describe itself."""
    api = ManagementApi(
        title="runpass",
        version=__version__,
        description="The management API. Paths and fields that env0 has are env0's.",
        servers=[{"url": "/api"}],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={**HANDLERS, Forbidden: on_forbidden},
        root_path_in_servers=False,
        generate_unique_id_function=operation_id,
    )
    for room in ROOMS:
        api.include_router(room.router)
    api.state.wakeups = wakeups
    if parts is not None:
        api.state.database = parts.database
        api.state.cipher = parts.cipher
        api.state.clock = parts.clock
        api.state.settings = parts.settings
        api.state.rings = parts.rings
        api.state.logins = Logins()
        api.state.sign_ins = SignIns(parts.database, parts.clock)
        api.state.openid = parts.openid
        api.state.refusals = Refusals(parts.database, parts.clock)
    return api


def build_console(api: ManagementApi, pages: Pages) -> Starlette:
    """Give the web console. It works on the parts of the management API, and shares its queue of new callers."""
    console = Starlette(
        routes=[*Assets().routes(), *(route for room in PAGES for route in room.ROUTES)],
        exception_handlers={**web_errors.HANDLERS, Forbidden: access_pages.on_forbidden},
    )
    console.router.redirect_slashes = False
    console.state = api.state
    console.state.pages = pages
    console.state.log_watch = LogWatch(console.state.database, console.state.wakeups)
    return console


@asynccontextmanager
async def _lifespan(parts: Parts, rules: LeaseRules, wakeups: Wakeups, sightings: Sightings) -> AsyncIterator[None]:
    """Run the background work for as long as the server runs, and close the parts after it."""

    async def pools_with_work() -> set[PoolId]:
        return await run_in_threadpool(_pools_with_work, parts)

    settings = parts.settings
    lifespans = Lifespans(
        parts.database, parts.cipher, parts.clock, settings.run_timeout_seconds, settings.organization_log_bytes
    )
    confirming = ConfirmationKeeper(parts.database, parts.clock, parts.rings, sightings)
    presence = Presence(parts.database, parts.clock, parts.rings)
    await run_in_threadpool(_settle, parts)
    await run_in_threadpool(presence.tell)  # before the first token: whoever stops a key must know of this process
    wakeups.open()
    tasks = [
        asyncio.create_task(end_lost_runs(rules, wakeups)),
        asyncio.create_task(settle_logins(parts.database, parts.clock)),
        asyncio.create_task(end_lifespans(lifespans, wakeups)),
        asyncio.create_task(again_and_again(presence.tend, REFRESH_EVERY_SECONDS)),
        asyncio.create_task(again_and_again(confirming.tend, LOOK_EVERY_SECONDS)),
        asyncio.create_task(follow_master_key(parts.database, parts.cipher)),
        asyncio.create_task(forget_idempotency_keys(parts.database, parts.clock)),
        asyncio.create_task(forget_sessions(parts.database, parts.clock)),
        asyncio.create_task(forget_old_logs(parts.database, parts.clock, settings)),
        asyncio.create_task(forget_old_deployments(parts.database, parts.clock, settings)),
        asyncio.create_task(forget_old_events(parts.database, parts.clock, settings)),
        asyncio.create_task(wakeups.look_elsewhere(pools_with_work)),
    ]
    try:
        with when_stopping(wakeups.close):
            yield
    finally:
        wakeups.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(RunpassError):
            await run_in_threadpool(presence.end)
        parts.close()


def _limits(parts: Parts) -> Limits:
    settings = parts.settings
    return Limits(settings.rate_limit_requests, settings.rate_limit_seconds, settings.failed_login_limit)


def _settle(parts: Parts) -> None:
    rotates = parts.settings.key_rotation_seconds > 0
    Settling(parts.database, parts.cipher, parts.clock, rotates).settle()
    parts.rings.tend()  # whichever process settled: keys that were opened may have ended with it


def _pools_with_work(parts: Parts) -> set[PoolId]:
    with parts.database.read() as tx:
        now = parts.clock.now()
        tasks = task_store.pools_with_tasks(tx, now) | login_store.pools_with_sweeps(tx, now)
        tasks |= key_check_store.pools_with_checks(tx, now)
        return deployment_store.pools_with_work(tx) | tasks
