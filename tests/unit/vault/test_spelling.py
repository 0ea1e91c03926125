from runpass.vault.spelling import nearest


def test_the_best_comes_first_and_case_alone_wins():
    assert nearest("deplyo", ["deploy", "destroy", "x"]) == ["deploy"]
    assert nearest("Deploy", ["deploy", "Deploys"]) == ["deploy"]
    assert nearest("x", ["unlike"]) == []


def test_names_of_others_are_bounded_and_printable():
    assert nearest("deploy", [f"deplo{number}" for number in range(100_000)], most=2)
    assert nearest("a" * 256, ["a" * 255]) == []
    assert nearest("deploy", [7, None, "deploy" * 100]) == []
    assert nearest("deploy-app", ["deploy-app\x1b"]) == ["deploy-app\\u001b"]
