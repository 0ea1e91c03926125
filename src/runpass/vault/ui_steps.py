"""A desired state as what to click and type in the web pages of OpenBao or Vault, for an empty Vault. Pure.

Their pages have forms for the auth method, its config, engines and policies. For roles of the JWT method they have
none: those are written with the API explorer of the same pages, which sends JSON as it is.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runpass.vault.desired import DesiredState, config_path, kv_namespace, namespace_requests, namespaces, role_path

_LABELS: Final[Mapping[str, str]] = {"jwks_url": "JWKS URL", "bound_issuer": "Bound issuer"}
"""What the form of the auth method's config calls its parameters."""


@dataclass(frozen=True, slots=True)
class UiStep:
    """One thing to do."""

    text: str
    values: tuple[tuple[str, str], ...] = ()
    """What to type, each under the name that the page has for it."""


def as_ui_steps(state: DesiredState) -> tuple[UiStep, ...]:
    """Give the steps, in an order that works."""
    return (*_namespaces(state), *_method(state), *_engines(state), *_policies(state), *_roles(state))


def _namespaces(state: DesiredState) -> Iterator[UiStep]:
    for request in namespace_requests(*namespaces(state)):
        where = f"Go to the namespace {request.namespace}. " if request.namespace else ""
        name = request.path.removeprefix("sys/namespaces/")
        yield UiStep(f"{where}Access, Namespaces: create the namespace, if it is not there.", (("Path", name),))
    if state.namespace:
        yield UiStep("Choose the namespace of the auth method, and stay there.", (("Namespace", state.namespace),))


def _method(state: DesiredState) -> Iterator[UiStep]:
    auth = state.auth
    yield UiStep(
        "Access, Authentication methods: Enable new method, JWT. Type the path, then Enable method.",
        (("Path", auth.path), ("Description (method options)", auth.description)),
    )
    values = tuple((_LABELS.get(name, name), _text(value)) for name, value in auth.config.parameters().items())
    yield UiStep("Fill in the configuration that comes next, and save it.", values)


def _engines(state: DesiredState) -> Iterator[UiStep]:
    for kv in state.kv_mounts:
        namespace = kv_namespace(state, kv)
        where = "" if namespace == state.namespace else f" This one in the namespace {namespace}, then go back."
        yield UiStep(
            f"Secrets engines: Enable new engine, KV, version {kv.version}. Type the path, then Enable engine.{where}",
            (("Path", kv.path),),
        )


def _policies(state: DesiredState) -> Iterator[UiStep]:
    for policy in state.policies:
        yield UiStep("Policies: Create ACL policy.", (("Name", policy.name), ("Policy", policy.text)))


def _roles(state: DesiredState) -> Iterator[UiStep]:
    for role in state.roles:
        path = role_path(state, role).removesuffix(f"/{role.name}")
        yield UiStep(
            f"The pages have no form for roles. Tools, API explorer: POST /{path}/{{name}}, Try it out. Type name and"
            " body, then Execute.",
            (("name", role.name), ("Request body", json.dumps(role.parameters(), indent=2))),
        )
    yield UiStep(f"Look at what is there now with GET /{config_path(state)} in the same explorer.")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
