"""Texts in queries: what no database can hold is the client's mistake, on each of them."""

from collections.abc import Iterator
from typing import Any

from factories import Tenant, World
from management_api import management_api


def texts(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give (path, parameter) for every query parameter that takes any text."""
    for path, item in document["paths"].items():
        for parameter in item.get("get", {}).get("parameters", ()):
            kinds = parameter["schema"].get("anyOf", [parameter["schema"]])
            if parameter["in"] == "query" and any(
                kind.get("type") == "string" and "format" not in kind for kind in kinds
            ):
                yield path, parameter["name"]


def test_a_nul_in_a_query_is_refused_as_the_mistake_of_that_field(world: World, tenant: Tenant):
    project, environment = tenant.somewhere_to_deploy()
    deployment = tenant.queue(environment)
    known = {"project_id": project.id, "environment_id": environment.id, "deployment_id": deployment.id}
    with management_api(world, tenant) as api:
        found = list(texts(api.client.app.openapi()))
        assert ("/audit-events", "action") in found
        for path, name in found:
            query = {"organizationId": str(tenant.id), name: "a\0b"}
            where = path.format_map({**known, "step_name": "run"})
            answer = api.client.get(where, params=query, auth=api.auth)
            assert answer.status_code == 422, (path, name, answer.text)
            assert [item["field"] for item in answer.json()["errors"]] == [name]
