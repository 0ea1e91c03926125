"""A queue of sign-ins that is full: what the form answers, and that it lets people in again."""

from argon2.profiles import CHEAPEST

from console import PASSWORD, Browser, console, new_person
from factories import Tenant, World
from runpass.server.access.logins import Logins
from runpass.server.access.passwords import Passwords
from runpass.server.access.sign_ins import SignIns
from runpass.server.access.waiting import WaitingRoom


class Full(SignIns):
    """One in whose queue somebody waits already."""

    def __init__(self, world: World, room: WaitingRoom) -> None:
        super().__init__(world.database, world.clock, Passwords(CHEAPEST))
        self._logins = Logins(room)


def test_a_full_queue_of_sign_ins_says_when_to_come_back_and_keeps_no_api_key_out(world: World, tenant: Tenant):
    new_person(world, tenant.id, "ann")
    room = WaitingRoom(1)
    with console(world) as client:
        client.app.routes[1].app.state.sign_ins = Full(world, room)  # type: ignore[attr-defined]
        with room.place("somebody"):
            answer = Browser(client).sign_in(("ann", PASSWORD))
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
            assert "Too many sign in at this moment." in answer.text
            key = (tenant.api_key.api_key_id, tenant.api_secret.reveal())
            assert Browser(client).sign_in(key).status_code == 303
        assert Browser(client).sign_in(("ann", PASSWORD)).status_code == 303
