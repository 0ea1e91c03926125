"""The guide on PostgreSQL, with two servers on one database: what one queues, a runner at the other one takes."""

from contextlib import ExitStack
from dataclasses import replace

from runpass.local.openbao import DevOpenBao, free_port
from runpass.local.stage import throw_away_stage
from scene import Scene


def test_a_deployment_queued_at_one_server_is_run_by_a_runner_of_the_other(
    openbao: DevOpenBao, empty_postgresql_url: str
):
    with ExitStack() as stack:
        stage = stack.enter_context(throw_away_stage(database_url=empty_postgresql_url))
        (api,) = stage.found(["Acme"])
        stack.callback(api.close)
        stage.start_server(stack)
        stage.start_runner(stack, api, "runner")
        other = replace(stage, settings=stage.settings.model_copy(update={"listen_port": free_port()}))
        other.start_server(stack)
        elsewhere = api.at(f"http://127.0.0.1:{other.settings.listen_port}")
        stack.callback(elsewhere.close)
        scene = Scene(stage, openbao, elsewhere, elsewhere)
        project = scene.guided()
        deployment, log = scene.deploy(project.id, 'test -n "$DB_PASSWORD"', DB_PASSWORD=project.reference)
        assert deployment["status"] == "SUCCESS", log
        assert scene.tokens(project.mount) == []
        assert api.wait(deployment["id"])["status"] == "SUCCESS"
