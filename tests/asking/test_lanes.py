"""What one source answers when only a part of it can be had."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import redis
import yaml
from psycopg import sql

from runbook_lib import asking, checks, diagnosis, drivers, profile
from runbook_lib.asking import Question
from runbook_lib.checks.base import Check, Judgement
from runbook_lib.drivers import network
from runbook_lib.drivers import postgres as driver
from runbook_lib.errors import ProfileError
from runbook_lib.model import Evidence, Finding, Outcome, Status
from runbook_lib.sandbox import Status as Sandbox

PASSWORD = "only-for-this-test"
POSTGRES = ["reachability", "connections", "connections_by_application", "blocking_tree", "long_queries", "sizes"]
Answers = dict[str, tuple[Evidence, Finding]]


def put(loaded: profile.Profile, *questions: str) -> Answers:
    asked = [Question(ask=q) for q in questions]
    found = asking.ask(asked, loaded, label="runbook/test", deadline=8, sink=lambda *_: None)
    return {e.question: (e, f) for e, f in found}


def with_source(shop: Sandbox, path: Path, name: str, **changed: object) -> profile.Profile:
    settings = yaml.safe_load(shop.sources.read_text())["sources"][name]
    (path / "password").write_text(PASSWORD)
    (path / "sources.yaml").write_text(yaml.safe_dump({"sources": {name: {**settings, **changed}}}))
    (path / "profile.yaml").write_text(f"extends: sandbox\nsources_from: {path / 'sources.yaml'}\n")
    return profile.load(str(path / "profile.yaml"))


@pytest.fixture
def owner(shop: Sandbox) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    settings = yaml.safe_load(shop.sources.read_text())["sources"]["shop_db"]
    password = (shop.state / "secrets" / "postgres").read_text()
    where = {"host": settings["host"], "port": settings["port"], "dbname": "shop", "user": "postgres"}
    with psycopg.connect(**where, password=password, autocommit=True) as owner:
        yield owner


@pytest.fixture
def role(owner: psycopg.Connection[tuple[object, ...]]) -> Iterator[str]:
    """A role that may log in once at a time, and has no other right."""
    owner.execute(sql.SQL("CREATE ROLE guest LOGIN PASSWORD {} CONNECTION LIMIT 1").format(PASSWORD))
    yield "guest"
    owner.execute("DROP ROLE guest")


def test_a_lane_that_is_not_let_in_leaves_its_questions_to_the_other(shop: Sandbox, tmp_path: Path, role: str) -> None:
    """With one connection to be had, every question that this role may ask is answered over that one."""
    login = {"user": role, "password": f"file:{tmp_path / 'password'}"}
    loaded = with_source(shop, tmp_path, "shop_db", reader=login)
    answers = put(loaded, "postgres.reachability", "postgres.sizes", "postgres.indexes", "postgres.cache_hits")
    assert {e.outcome for e, _ in answers.values()} == {Outcome.ANSWERED}, [e.reason for e, _ in answers.values()]


def test_a_reader_that_sees_only_itself_says_so(shop: Sandbox, tmp_path: Path, role: str) -> None:
    """Without pg_read_all_stats the sessions of others are blank: that is unknown, and how to mend it is said."""
    login = {"user": role, "password": f"file:{tmp_path / 'password'}"}
    loaded = with_source(shop, tmp_path, "shop_db", reader=login)
    answers = put(loaded, *(f"postgres.{q}" for q in POSTGRES))
    blind = [f for e, f in answers.values() if e.outcome is Outcome.FORBIDDEN]
    assert {f.check for f in blind} >= {"postgres.connections", "postgres.blocking_tree", "postgres.long_queries"}
    assert {f.status for f in blind} == {Status.UNKNOWN}
    assert "GRANT pg_read_all_stats TO guest" in blind[0].summary
    assert answers["postgres.reachability"][1].status is Status.WARN
    assert "grant it pg_monitor" in answers["postgres.reachability"][1].summary


def test_a_server_that_keeps_its_identity_to_itself_is_read_all_the_same(
    shop: Sandbox, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    """As managed services do: reads go on, and nothing may be changed on what cannot be told apart."""
    owner.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    try:
        answers = put(profile.load(str(shop.profile)), "postgres.reachability", "postgres.connections")
    finally:
        owner.execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
    assert {(e.outcome, e.target.identity) for e, _ in answers.values()} == {(Outcome.ANSWERED, None)}


@pytest.fixture
def cache(shop: Sandbox) -> Iterator[redis.Redis]:
    settings = yaml.safe_load(shop.sources.read_text())["sources"]["shop_redis"]
    password = Path(settings["password"].removeprefix("file:")).read_text()
    with redis.Redis(host=settings["host"], port=settings["port"], password=password) as client:
        yield client
        client.acl_deluser("guest")


def test_redis_tells_apart_who_we_are_and_what_we_may(shop: Sandbox, tmp_path: Path, cache: redis.Redis) -> None:
    """A wrong password and a missing right are our own: unknown, never an outage; and no right means no identity."""
    reader = {"user": "guest", "password": f"file:{tmp_path / 'password'}"}
    loaded = with_source(shop, tmp_path, "shop_redis", **reader)
    cache.acl_setuser("guest", enabled=True, passwords=["+another"], commands=["+ping"])
    refused = put(loaded, "redis.reachability", "redis.memory")
    assert {e.outcome for e, _ in refused.values()} == {Outcome.AUTH}
    assert {f.status for _, f in refused.values()} == {Status.UNKNOWN}
    cache.acl_setuser("guest", enabled=True, passwords=[f"+{PASSWORD}"], commands=["+ping"])
    forbidden = put(loaded, "redis.reachability", "redis.memory")
    assert {e.outcome for e, _ in forbidden.values()} == {Outcome.FORBIDDEN}
    assert {f.status for _, f in forbidden.values()} == {Status.UNKNOWN}
    assert "redis_down" not in [h.cause for h in diagnosis.diagnose([f for _, f in forbidden.values()])]


def test_a_server_that_dies_under_tls_did_not_refuse_our_certificate() -> None:
    """libpq's words, one by one: the network first, TLS only where nothing else is said."""
    said = {
        "SSL connection has been closed unexpectedly": Outcome.REFUSED,
        "SSL SYSCALL error: EOF detected": Outcome.REFUSED,
        "SSL SYSCALL error: Connection timed out": Outcome.TIMED_OUT,
        "the connection is closed": Outcome.REFUSED,
        "server does not support SSL, but SSL was required": Outcome.TLS,
        "SSL error: certificate verify failed": Outcome.TLS,
        "failed to resolve host 'nowhere': [Errno -2] Name or service not known": Outcome.DNS,
    }
    assert {text: driver.refusal(psycopg.OperationalError(text)).outcome for text in said} == said
    assert network.outcome(ValueError("no network in it")) is None


def test_a_check_that_trips_costs_its_own_answer_only(answered: Evidence) -> None:
    """It is unknown, says that it is the check's fault, and the other answers are judged."""

    def trips(evidence: Evidence, *, warn: float = 1.0) -> Judgement:
        raise ZeroDivisionError(f"{len(evidence.data)} / {warn - warn}")

    finding = Check("postgres.trips", trips, judges_failures=False)(answered)
    assert finding.status is Status.UNKNOWN
    assert "a fault of the check: ZeroDivisionError" in finding.summary


@pytest.fixture
def answered(shop: Sandbox) -> Evidence:
    return put(profile.load(str(shop.profile)), "postgres.sizes")["postgres.sizes"][0]


def test_a_row_that_is_new_in_the_second_sample_is_no_growth(shop: Sandbox) -> None:
    """A list that is cut may have left it out before: its lifetime total did not happen within the sample."""
    evidence, _ = put(profile.load(str(shop.profile)), "postgres.statements")["postgres.statements"]
    first = evidence.data[evidence.data["sample"] == 0]
    busiest = first.sort_values("total_ms").iloc[-1]["queryid"]
    cut = evidence.data[~((evidence.data["sample"] == 0) & (evidence.data["queryid"] == busiest))]
    cut.loc[cut["queryid"] == busiest, "mean_ms"] = 1e9
    cut.loc[cut["queryid"] == busiest, "total_ms"] = 1e9
    assert checks.find("postgres.statements")(replace(evidence, data=cut)).status is Status.OK


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("https://eve:secret@shop.example/health", "holds a user or password"),
        ("shop.example/health", "want http:// or https://"),
        ("https://", "want http:// or https://"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_named(shop: Sandbox, tmp_path: Path, endpoint: str, why: str) -> None:
    """With file and line, before anything is asked, and without repeating the secret."""
    loaded = with_source(shop, tmp_path, "shop_http", endpoints={"web": endpoint})
    with pytest.raises(ProfileError, match=why) as error:
        drivers.check_settings(loaded)
    assert "sources.yaml:" in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("value", ["high", "true", ".nan", "[1]", "-1"])
def test_a_threshold_that_is_no_number_is_named(shop: Sandbox, tmp_path: Path, value: str) -> None:
    """With file and line, before anything is asked."""
    path = tmp_path / "profile.yaml"
    path.write_text(f"extends: {shop.profile}\nthresholds:\n  postgres.connections: {{warn: {value}}}\n")
    with pytest.raises(ProfileError, match="warn wants a number") as error:
        checks.check_thresholds(profile.load(str(path)))
    assert f"{path}:3" in str(error.value)
