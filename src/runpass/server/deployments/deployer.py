"""Who started a deployment, as its tokens may say it."""

from runpass.ids import PersonId
from runpass.server.access.actors import Actor, ActorKind
from runpass.server.db.engine import Transaction
from runpass.server.people.identity_store import verified_email


def deployer_email(tx: Transaction, actor: Actor, started_by: str) -> str | None:
    """Give the verified address of whoever starts a deployment now; None where nobody vouches for any.

    SECURITY: a relying party may take the address for the person. It is never what somebody typed (the name of people
    with a password may look like one), nor anybody's where the server itself starts something in another's place.
    """
    if actor.kind is not ActorKind.PERSON or started_by != actor.audit_name:
        return None
    return verified_email(tx, actor.organization_id, PersonId(actor.id))
