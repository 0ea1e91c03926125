"""How many credentials an organization may have."""

from sqlalchemy import select

from factories import Tenant, World
from management_api import ManagementApi
from runpass.ids import new_id
from runpass.server.credentials.model import MOST_CREDENTIALS
from runpass.server.db.schema.credentials import credentials


def test_an_organization_has_a_bounded_number_of_credentials(api: ManagementApi, world: World, tenant: Tenant):
    """Everybody's rotation goes through all of them."""
    first = tenant.credential()
    with world.database.write() as tx:
        row = tx.execute(select(credentials).where(credentials.c.id == first.id)).mappings().one()
        tx.execute(credentials.insert(), [{**row, "id": new_id()} for _ in range(MOST_CREDENTIALS - 2)])
    value = {"address": "https://vault.example.com", "roleName": "r", "jwtAuthBackendPath": "jwt", "version": "1.18.0"}
    body = {"name": "one more", "type": "VAULT_OIDC", "organizationId": str(tenant.id), "value": value}
    api.call("POST", "/credentials", body, status=201)
    refused = api.call("POST", "/credentials", body, status=409)
    assert "at most 2000 credentials" in refused["message"]
