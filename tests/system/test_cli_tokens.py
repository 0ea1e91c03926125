"""`runpass tokens outstanding` where nothing is left; `test_left_behind` has the rest."""


def test_nothing_is_left_and_two_numbers_say_so(run, listed):
    assert "0 known to be outstanding, 0 unknown" in run("tokens", "outstanding").output
    found = listed("tokens", "outstanding")
    assert (found["vaultTokens"], found["isComplete"]) == ({"known": 0, "unknown": 0}, True)


def test_a_deployment_that_is_not_there_is_told(run):
    run("tokens", "outstanding", "--deployment", "01900000-0000-7000-8000-000000000000", code=3)
