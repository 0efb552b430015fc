"""Strict parameters: what does not fit is refused in one line that says what would."""

from pathlib import Path

import pytest

from runbook_lib.errors import ParameterError, UsageError
from runbook_lib.execution import parameters
from runbook_lib.execution.parameters import Given


@pytest.fixture
def typed(book):
    return parameters.load_notebook(Path(book("typed")))


def settle(notebook, name, value):
    return parameters.settle(notebook, {name: Given(value, "-p")})[name]


def test_every_default_is_read_whatever_papermill_makes_of_it(typed):
    """Also one that holds `=`, and one annotated `X | None`, which papermill drops."""
    found = parameters.declared(typed)
    assert {d.name: d.default for d in found.values()} == {
        "profile": "sandbox",
        "deadline_seconds": 8.0,
        "limit": None,
        "url": "http://h/?a=b",
        "mode": "quick",
        "names": [],
        "labels": {},
        "verbose": False,
        "plain": 3,
    }


@pytest.mark.parametrize(
    ("name", "given", "settled"),
    [
        ("deadline_seconds", "5", 5.0),
        ("deadline_seconds", 5, 5.0),
        ("limit", "7", 7),
        ("limit", None, None),
        ("limit", "none", None),
        ("profile", "7", "7"),
        ("mode", "full", "full"),
        ("names", "[a, b]", ["a", "b"]),
        ("names", ["a"], ["a"]),
        ("labels", "{a: 1}", {"a": 1}),
        ("verbose", "yes", True),
        ("plain", "4", 4),
    ],
)
def test_values_become_what_is_declared(typed, name, given, settled):
    """Text of the command line and values of YAML alike."""
    result = settle(typed, name, given)
    assert (result, type(result)) == (settled, type(settled))


@pytest.mark.parametrize(
    ("name", "given", "line"),
    [
        ("deadline_secs", "5", "-p: the notebook has no parameter 'deadline_secs'; did you mean deadline_seconds?"),
        ("deadline_seconds", "soon", "-p: deadline_seconds wants float, got 'soon'"),
        ("deadline_seconds", True, "-p: deadline_seconds wants float, got True"),
        ("limit", 1.5, "-p: limit wants int | None, got 1.5"),
        ("profile", 7, "-p: profile wants str, got 7; write it in quotes"),
        ("mode", "slow", "-p: mode wants Literal['quick', 'full'], got 'slow'"),
        ("names", [1], "-p: names wants list[str], got [1]"),
        ("names", "[a", "-p: names wants list[str], got '[a'"),
        ("labels", {"a": "b"}, "-p: labels wants dict[str, int], got {'a': 'b'}"),
        ("verbose", "maybe", "-p: verbose wants bool, got 'maybe'"),
    ],
)
def test_what_does_not_fit_is_refused(typed, name, given, line):
    """The line names where it was given, the nearest name or the type, and what came."""
    with pytest.raises(ParameterError) as refused:
        settle(typed, name, given)
    assert str(refused.value) == line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", "postgres://app:swordfish-9@db/shop"),
        ("names", ["fine", "Bearer abcdefghijklmnop"]),
        ("labels", {"api_token": "abcdefgh"}),
    ],
)
def test_a_secret_is_refused_and_not_repeated(typed, name, value):
    """By its look or by the name it goes under, also inside of lists and mappings."""
    with pytest.raises(ParameterError, match=r"looks like a secret.*env:, file:, keyring:") as refused:
        settle(typed, name, value)
    assert not any(part in str(refused.value) for part in ("swordfish", "abcdefgh"))


def test_a_reference_is_no_secret(typed):
    """That is how a secret is to be named."""
    assert settle(typed, "profile", "env:SHOP_PASSWORD") == "env:SHOP_PASSWORD"


def test_later_layers_win(typed):
    """parameters/<name>.yaml < -f < -p < options."""
    layers = [{"profile": Given(name, name)} for name in ("usual", "file", "pair")]
    assert parameters.settle(typed, *layers) == {"profile": "pair"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [\n", ":3: "),
        ("a: 1\n- b\n", ":2: "),
        ("- a\n", ":1: name: value pairs are wanted"),
        ("a: 1\nb: 2\na: 3\n", ":3: a was given before, in line 1"),
    ],
)
def test_a_file_that_is_no_yaml_mapping_is_refused_with_its_line(tmp_path, text, line):
    """File and line come first, as editors understand them."""
    file = tmp_path / "p.yaml"
    file.write_text(text)
    with pytest.raises(ParameterError) as refused:
        parameters.from_file(file)
    assert str(refused.value).startswith(f"{file}{line}")


def test_a_value_of_a_file_is_refused_with_its_line(tmp_path, typed):
    """The line is the key's."""
    file = tmp_path / "p.yaml"
    file.write_text("profile: sandbox\nlimit: many\n")
    with pytest.raises(ParameterError, match=r"p\.yaml:2: limit wants"):
        parameters.settle(typed, parameters.from_file(file))


def test_a_missing_file_and_an_empty_one(tmp_path):
    """One is an error, the other sets nothing."""
    with pytest.raises(ParameterError, match=r"gone\.yaml cannot be read: No such file"):
        parameters.from_file(tmp_path / "gone.yaml")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert parameters.from_file(tmp_path / "empty.yaml") == {}


@pytest.mark.parametrize("pair", ["hunter2", "=x"])
def test_a_pair_wants_a_name_and_a_value(pair):
    """What stands there may be a secret: it is not repeated."""
    with pytest.raises(ParameterError, match=r"^-p wants NAME=VALUE$"):
        parameters.from_pairs([pair])


def test_a_cell_that_is_not_literals_is_refused(typed):
    """Nothing there can be derived from something else."""
    typed.cells[0].source = "a: int = 1\nb = a + 1"
    with pytest.raises(ParameterError, match=r"not made of annotated literals"):
        parameters.declared(typed)


def test_a_file_that_is_no_notebook(tmp_path):
    """One line that names it."""
    (tmp_path / "x.ipynb").write_text("{")
    with pytest.raises(UsageError, match=r"x\.ipynb is no notebook"):
        parameters.load_notebook(tmp_path / "x.ipynb")
