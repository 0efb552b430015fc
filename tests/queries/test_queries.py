"""Every query of the folder, on the real server, as the reader."""

import pytest

from runbook_lib import asking, checks, profile, queries
from runbook_lib.asking import Question
from runbook_lib.errors import ParameterError, UsageError
from runbook_lib.model import DTYPES, Evidence, Finding, Outcome, Status
from runbook_lib.sandbox import Status as Sandbox

NAMES = queries.names()


@pytest.fixture(scope="module")
def answers(shop: Sandbox) -> dict[str, tuple[Evidence, Finding]]:
    """All questions put to the healthy shop at once."""
    asked = [Question(ask=name) for name in NAMES]
    loaded = profile.load(str(shop.profile))
    found = asking.ask(asked, loaded, label="runbook/test", deadline=20, sink=lambda *_: None)
    return {evidence.question: (evidence, finding) for evidence, finding in found}


@pytest.mark.parametrize("name", NAMES)
def test_is_answered_and_judged_ok_on_a_healthy_shop(name: str, answers: dict[str, tuple[Evidence, Finding]]) -> None:
    """The reader may ask it, the declared columns and types fit, and its check finds nothing wrong."""
    evidence, finding = answers[name]
    assert evidence.outcome is Outcome.ANSWERED, evidence.reason
    assert {n: str(d) for n, d in evidence.data.dtypes.items()} == {n: DTYPES[k] for n, k in evidence.schema.items()}
    assert finding.status is Status.OK, finding.summary
    assert bool(evidence.target.identity) == (evidence.target.kind != "http")


@pytest.mark.parametrize("name", NAMES)
def test_has_a_title_and_a_check(name: str) -> None:
    """A person reads the title; a check of the same name judges the answer."""
    query = queries.load(name)
    assert query.title[0].isupper()
    assert query.columns
    assert checks.find(name).name == name


def test_undeclared_and_mistyped_parameters_are_refused() -> None:
    """Before anything is sent."""
    query = queries.load("postgres.blocking_tree")
    with pytest.raises(ParameterError, match="no parameter lmit"):
        query.bind({"lmit": 3})
    with pytest.raises(ParameterError, match="wants Int64"):
        query.bind({"limit": "3; DROP TABLE x"})
    with pytest.raises(UsageError, match="no query"):
        queries.load("postgres.../../secrets")
