"""Charts tell the truth about evidence, whatever it holds."""

import struct
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from IPython.core.formatters import DisplayFormatter

from runbook_lib import charts
from runbook_lib.charts import locks, statements, style
from runbook_lib.model import Coverage, Evidence, Outcome
from runbook_lib.text import clean, clean_lines

QUESTIONS: dict[str, tuple[Callable[[Evidence], charts.Chart], str]] = {
    "postgres.connection_starts": (charts.connections_over_time, "leak"),
    "postgres.connections_by_application": (charts.connections_by_application, "by_application"),
    "postgres.blocking_tree": (charts.blocking_tree, "tree"),
    "postgres.statements": (charts.statement_times, "statements"),
    "postgres.idle_in_transaction": (charts.idle_transactions, "idle"),
    "postgres.sequential_scans": (charts.sequential_scans, "scans"),
    "http.health": (charts.endpoint_latency, "endpoints"),
}
HOSTILE = "".join(
    (
        "<img src=x onerror=alert(1)>",
        " $\\frac{ $x$ ",
        "\x1b[31mred\x1b[0m",
        "\x1b]0;t\x07",
        "\x00\x07\x7f\u202e\u2066\ud800",
        "日本語 🚨 \u0627\u0644 e\u0301 \U0010ffff ",
        "a|b\n# c\r\n",
        "x" * 10_000,
    )
)
Make = Callable[..., Evidence]


@pytest.fixture(params=sorted(QUESTIONS))
def question(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer pixels, the same drawing."""
    monkeypatch.setattr(style, "DPI", 50)


def rows_of(question: str, request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = request.getfixturevalue(QUESTIONS[question][1])
    return found


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_each_is_a_picture_that_shows_itself_once(
    question: str, evidence: Make, request: pytest.FixtureRequest
) -> None:
    """A notebook archives one picture and one line of words, with no import of pyplot."""
    chart = QUESTIONS[question][0](evidence(question, rows_of(question, request)))
    shown, _ = DisplayFormatter().format(chart)
    assert shown.keys() == {"image/png", "text/plain"}
    assert shown["text/plain"].startswith("Chart: ")
    width, height = size(chart.png())
    assert width == pytest.approx(style.WIDTH * style.DPI, abs=1)
    assert 1.5 < height / style.DPI < 14


def test_the_same_evidence_gives_the_same_bytes_whatever_the_settings_and_threads(
    evidence: Make, tree: Any, tmp_path: Path
) -> None:
    """Neither the reader's own matplotlib settings nor other threads change a chart, nor does a chart change them."""
    asked = evidence("postgres.blocking_tree", tree)
    wanted = charts.blocking_tree(asked).png()
    got: list[bytes] = []
    with mpl.rc_context({"font.size": 31, "axes.grid": False}):
        threads = [threading.Thread(target=lambda: got.append(charts.blocking_tree(asked).png())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert mpl.rcParams["font.size"] == 31
    assert got == [wanted] * 4
    assert charts.blocking_tree(asked).save(tmp_path / "x.png").read_bytes() == wanted


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.ANSWERED])
def test_could_not_ask_is_said_in_words(outcome: Outcome, evidence: Make) -> None:
    """Whatever the failure, the picture says that nothing is known, and why."""
    asked = evidence("postgres.blocking_tree", outcome=outcome, reason="the reason", coverage=Coverage(answered=0))
    said = repr(charts.blocking_tree(asked))
    assert "unknown" in said
    assert "could not be asked" in said
    assert "the reason" in said


def test_every_chart_says_so_when_nothing_was_answered(question: str, evidence: Make) -> None:
    """No chart draws an empty axis for a time-out."""
    said = repr(QUESTIONS[question][0](evidence(question, outcome=Outcome.TIMED_OUT, coverage=Coverage(answered=0))))
    assert "could not be asked: timed out" in said


def test_every_chart_says_so_when_the_answer_is_empty(question: str, evidence: Make) -> None:
    """An empty answer is words; an incomplete empty answer is not told as good."""
    assert "unknown" not in repr(QUESTIONS[question][0](evidence(question)))
    partly = QUESTIONS[question][0](evidence(question, coverage=Coverage(truncated=True)))
    assert "not certain" in repr(partly)


def test_missing_values_and_hostile_text_do_no_harm(
    question: str, evidence: Make, request: pytest.FixtureRequest
) -> None:
    """HTML, mathtext, ANSI, NUL, direction overrides, unknown glyphs, 10 kB, missing values: no warning, no crash."""
    rows = rows_of(question, request)
    texts = {k for k, v in rows[0].items() if isinstance(v, str) and k != "outcome"}
    hostile = [{k: HOSTILE if k in texts else v for k, v in row.items()} for row in rows]
    holes = [{k: v for k, v in row.items() if k in {"pid", "sample"}} for row in rows]
    for changed in (hostile, [*rows, *holes], holes):
        chart = QUESTIONS[question][0](evidence(question, changed))
        said = repr(chart)
        assert not set("\x00\x07\x1b\x7f\u202e\u2066\n") & set(said)
        assert len(said) < 1500
        assert size(chart.png())[1] < 14 * style.DPI


def test_a_leak_is_named_in_the_title(evidence: Make, leak: Any) -> None:
    """Who holds how many of how many; and that closed connections are not in it."""
    asked = evidence("postgres.connection_starts", leak)
    chart = charts.connections_over_time(asked, marks={"plan applied": asked.observed_at + timedelta(seconds=9)})
    assert chart.title == "52 of 60 connections, 41 opened by loyalty-sync"
    assert "closed before cannot be seen" in chart.note


def test_marks_are_drawn(evidence: Make, leak: Any) -> None:
    """An event mark changes the picture."""
    asked = evidence("postgres.connection_starts", leak)
    plain = charts.connections_over_time(asked)
    assert charts.connections_over_time(asked, marks={"onset": asked.observed_at}).png() != plain.png()


def test_sessions_of_an_application_are_counted_once(evidence: Make, by_application: Any) -> None:
    """Waiting is part of active, unused part of idle: the parts of a bar sum to its sessions."""
    from runbook_lib.charts.connections import _by_application

    sums = _by_application(evidence("postgres.connections_by_application", by_application))
    assert {name: sum(parts) for name, parts in sums.items()} == {
        r["application"]: r["sessions"] for r in by_application
    }


def test_the_tree_names_the_root_and_folds_the_rest(evidence: Make, tree: Any) -> None:
    """27 waiters are a handful of rows, none forgotten."""
    chart = charts.blocking_tree(evidence("postgres.blocking_tree", tree))
    assert chart.title == "27 sessions wait for pid 4711 (order-export), the longest for 41 s"
    sessions = {s.pid: s for s in locks._sessions(evidence("postgres.blocking_tree", tree))}
    rows = list(locks._rows(4711, sessions, locks._children(sessions), 0))
    folded = [int(r.text.split()[1]) for r in rows if r.text.startswith("and ")]
    assert len(rows) - 1 - len(folded) + sum(folded) == 27


@pytest.mark.parametrize(
    ("waits", "title"),
    [
        ({1: [2], 2: [1]}, "2 sessions wait for pid 1 (a)"),
        ({1: [0]}, "1 session waits for a prepared transaction"),
        ({1: [99]}, "1 session waits for pid 99"),
        ({1: [], 2: [1], 3: [], 4: [3]}, "2 sessions wait for 2 root blockers"),
        ({n: [n - 1] if n else [] for n in range(300)} | {0: []}, "299 sessions wait for"),
    ],
)
def test_odd_trees_are_drawn(evidence: Make, waits: dict[int, list[int]], title: str) -> None:
    """A ring, a prepared transaction, a blocker that is gone, two roots, and a chain of 300."""
    rows = [
        {"pid": p, "blocked_by": b, "application": "a", "waiting_seconds": 1.0 if b else None} for p, b in waits.items()
    ]
    assert charts.blocking_tree(evidence("postgres.blocking_tree", rows)).title.startswith(title)


def test_statement_times_compare_the_sample_with_the_time_before(evidence: Make, statements: Any) -> None:
    """The mean now is that of the sample alone, the mean before does not hold the sample."""
    chart = charts.statement_times(evidence("postgres.statements", statements))
    assert chart.title == "97% of the time goes to one statement: 212 ms a call now, 1.1 ms before"


def test_a_reset_counter_says_nothing(evidence: Make, statements: Any) -> None:
    """Counters that went down between the samples are left out, not drawn as negative time."""
    swapped = [{**row, "sample": 1 - row["sample"]} for row in statements if row["queryid"] != "4"]
    asked = evidence("postgres.statements", swapped)
    assert statements_of(asked) == []
    assert "nothing ended in the sample" in charts.statement_times(asked).title


def statements_of(asked: Evidence) -> list[Any]:
    return list(statements._statements(asked))


def test_rows_a_second_are_of_the_sample(evidence: Make, scans: Any) -> None:
    """18 million rows in 1.5 s are 12 million a second, not the total since the reset."""
    chart = charts.sequential_scans(evidence("postgres.sequential_scans", scans))
    assert chart.title == "12 M rows/s are read by sequential scans of orders (40 scans/s of 300 k rows)"


def test_an_error_answer_is_no_good_answer(evidence: Make, endpoints: Any) -> None:
    """503 and a time-out are told apart from 200, worst first."""
    chart = charts.endpoint_latency(evidence("http.health", endpoints))
    assert chart.title == "2 of 4 endpoints answer well; api orders: 503"


def test_before_and_after(judged: Any) -> None:
    """What was bad and is ok now is counted; unknown after is not ok; nothing judged is unknown."""
    before, after = judged
    assert charts.before_after(before, after).title == "3 of 3 bad findings are ok now"
    assert charts.before_after(before, []).title == "0 of 3 bad findings are ok now"
    assert charts.before_after(after, before).title.startswith("Nothing was bad before")
    assert "unknown" in charts.before_after([], []).title


def test_hostile_findings(judged: Any) -> None:
    """Records from disk may hold anything."""
    odd = {"check": HOSTILE, "source": HOSTILE, "status": "purple", "arguments": None, "facts": {"value": "x"}}
    assert size(charts.before_after([odd, {}], [odd, {"facts": None}]).png())


def test_clean_text() -> None:
    """What is left shows what it holds: one line, no controls, bounded."""
    assert clean(HOSTILE, 50).startswith("<img src=x onerror=alert(1)>")
    assert clean_lines("a\x1b[1m\n\tb\x00", 50) == "a\n    b"
    assert clean("\u202eabc") == "abc"
