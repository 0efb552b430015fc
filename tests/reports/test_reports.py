"""The report of a run and the post-mortem say what the files say, to people, whatever the files hold."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt

from runbook_lib.archive import manifest, timeline
from runbook_lib.archive.store import Archive, IncidentFolder, RunFolder
from runbook_lib.cli.postmortem import command
from runbook_lib.errors import ArchiveError
from runbook_lib.reports import action_items, html, people, post_mortem, story
from runbook_lib.reports.rendering import escape_markdown, fenced, markdown

HOSTILE = "".join(
    (
        "<img src=x onerror=alert(1)> </title><script>alert(2)</script> ",
        "a|b `c` *d* _e_ [f](javascript:alert(3)) ",
        "$x$ <!-- people:lessons --> <!-- /people:lessons --> {{ 7777*3 }} \n# g\n",
        "\x1b[31mred\x1b[0m\x00\x07\u202e\u2066 日本語 ",
        "x" * 10_000,
    )
)
PNG = b"\x89PNG\r\n\x1a\n"


class Page(HTMLParser):
    """All elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(path: Path) -> Page:
    """Also holds that it asks nobody for anything and runs nothing."""
    text = path.read_text("utf-8")
    assert not set("\x00\x07\x1b\x7f\u202e\u2066") & set(text)
    read = Page(text)
    assert not {tag for tag, _ in read.elements} & {"script", "iframe", "object", "link", "form", "base"}
    for _, attributes in read.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("src") or "data:").startswith("data:image/png;base64,") or "src" not in attributes
        assert not re.match(r"(?i)\s*(javascript|data):", attributes.get("href") or "")
    return read


def only_run(incident: IncidentFolder) -> RunFolder:
    return incident.runs()[0]


def swapped(value: Any, keep: set[str]) -> Any:
    """The same value with all its texts hostile, but for the keys that the tools themselves set."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, Mapping):
        return {k: v if k in keep else swapped(v, keep) for k, v in value.items()}
    return [swapped(v, keep) for v in value] if isinstance(value, list) else value


def test_the_verdict_comes_first(leak: IncidentFolder) -> None:
    """Title, confidence in words and why, what supports it; what to do; what went unanswered; findings, worst first."""
    text = page(only_run(leak).path / "report.html").text
    wanted = [
        "loyalty-sync leaks connections: 38 of its 41 are held and not used",
        "Confident : everything that it predicts is there",
        "has not used 38 of them",
        "Terminate 38 unused sessions of loyalty-sync",
        "03:50:29 UTC by eve",
        "Did it help? helped",
        "1 of 5 questions went unanswered",
        "redis.memory on shop_cache: timed out",
        "52 of 60 connections are used (87 %, warn at 80 %) Asked",
        "52 connections, the newest 2 s old",
    ]
    places = [text.find(sentence, text.find("Confident") if i > 1 else 0) for i, sentence in enumerate(wanted)]
    assert -1 not in places
    assert places[1:] == sorted(places[1:])


def test_a_question_asked_again_is_one_line_with_both_answers(leak: IncidentFolder) -> None:
    """Before and after the mitigation are told apart, and neither hides the other."""
    text = page(only_run(leak).path / "report.html").text
    assert (
        "52 of 60 connections are used (87 %, warn at 80 %) Asked 2 times; the last time, 03:50:56 UTC: ok 14 of"
        in text
    )


def test_pictures_are_those_of_the_notebook_with_their_question(leak: IncidentFolder) -> None:
    """In order, each with its heading and a text alternative; what is no PNG is left out."""
    read = page(only_run(leak).path / "report.html")
    pictures = read.all("img")
    assert [p["alt"].split(",")[0] for p in pictures if p["alt"]] == [
        "52 of 60 connections",
        "loyalty-sync holds 41 of 60 connections",
    ]
    assert all(base64.b64decode((p["src"] or "").partition(",")[2]).startswith(PNG) for p in pictures)
    assert "Who opened them, and when? A step that never comes down is a leak." in read.text


def test_an_unknown_identity_is_said(leak: IncidentFolder) -> None:
    """A target whose identity could not be had stands out."""
    text = page(only_run(leak).path / "report.html").text
    assert "postgres at 127.0.0.1:5432, identity 74290/shop" in text
    assert "redis at 127.0.0.1:6379, identity not known" in text


def test_a_sealed_report_is_left_alone(leak: IncidentFolder) -> None:
    """Writing again breaks no seal."""
    run = only_run(leak)
    html.write(run)
    post_mortem.write(leak)
    assert manifest.verify(run) == []


def test_a_run_that_left_nothing_still_gets_a_report(tmp_path: Path) -> None:
    """Neither findings nor notebook: the report says what is missing, and claims nothing."""
    run = Archive.at(tmp_path).incident("inc-1").new_run("triage")
    text = page(html.write(run)).text
    assert text.count("triage for incident inc-1, 20") == 1
    assert "No verdict" in text
    assert "findings.json is not there" in text
    assert "notebook.ipynb is not there" in text
    assert "nothing watched how it ended" in text
    assert "answered" not in text.replace("before any question was answered", "")


@pytest.mark.parametrize(
    "torn", ["", "{", "[]", '{"run": [], "findings": [1, {}], "verdict": [], "unanswered": null}', "null"]
)
def test_torn_files_are_told(torn: str, tmp_path: Path) -> None:
    """What a crash leaves behind, or another tool wrote, is no reason to have no report."""
    run = Archive.at(tmp_path).incident("inc-1").new_run("triage")
    (run.path / "findings.json").write_text(torn, "utf-8")
    (run.path / "notebook.ipynb").write_text(torn, "utf-8")
    assert "What is missing" in page(html.write(run)).text


def killed(run: RunFolder) -> None:
    """A lock whose writer is gone."""
    manifest.lock(run, notebook="triage")
    lock = json.loads((run.path / "lock.json").read_text("utf-8"))
    (run.path / "lock.json").write_text(json.dumps({**lock, "boot": "another"}), "utf-8")


def test_a_killed_run_is_told_as_killed(tmp_path: Path, leak: IncidentFolder) -> None:
    """Though its notebook says running, or even completed: it was never sealed."""
    run = Archive.at(tmp_path).incident("inc-1").new_run("triage")
    (run.path / "notebook.ipynb").write_bytes((only_run(leak).path / "notebook.ipynb").read_bytes())
    killed(run)
    assert "The run is killed." in page(html.write(run)).text


def test_a_failed_run_shows_its_cells(tmp_path: Path, leak: IncidentFolder) -> None:
    """While the runner that writes it still lives: what failed, why, and what never ran."""
    run = Archive.at(tmp_path).incident("inc-1").new_run("triage")
    raw = json.loads((only_run(leak).path / "notebook.ipynb").read_text("utf-8"))
    raw["metadata"]["runbook"] |= {"state": "failed", "reason": "KeyError: 'x'"}
    raw["cells"][-1]["metadata"]["runbook"] |= {"state": "failed", "reason": "KeyError: 'x'"}
    (run.path / "notebook.ipynb").write_text(json.dumps(raw), "utf-8")
    manifest.lock(run, notebook="triage")
    text = page(html.write(run)).text
    assert "The run is failed. A cell failed; those after it never ran. KeyError: 'x'" in text
    assert "Cells that did not end well" in text


def test_hostile_text_is_text(leak: IncidentFolder, tmp_path: Path) -> None:
    """HTML, Markdown, templates, escapes and 10 kB in every text of every file: shown, never obeyed."""
    incident = Archive.at(tmp_path).incident("inc-bad")
    run = incident.new_run("triage")
    keep = {
        "status",
        "observed_at",
        "evidence",
        "run",
        "plan",
        "cause",
        "confidence",
        "check",
        "source",
        "question",
        "id",
    }
    for event in timeline.read(leak):
        data = swapped({**event.data}, keep)
        timeline.append(incident, event.kind, HOSTILE, data={**data, "run": run.id}, actor=HOSTILE)
    run.write_findings(swapped(only_run(leak).findings(), keep))
    raw = json.loads((only_run(leak).path / "notebook.ipynb").read_text("utf-8"))
    (run.path / "notebook.ipynb").write_text(
        json.dumps(swapped(raw, {"cell_type", "image/png", "output_type"})), "utf-8"
    )
    for line in (only_run(leak).path / "evidence.jsonl").read_text("utf-8").splitlines():
        record = json.loads(line)
        record["target"]["source"] = record["reason"] = HOSTILE
        with (run.path / "evidence.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
    assert "<img src=x onerror=alert(1)>" in page(html.write(run)).text
    for _ in range(2):
        written = post_mortem.write(incident)
    assert "<img src=x onerror=alert(1)>" in page(written.html).text
    text = written.markdown.read_text("utf-8")
    shown = Page(MarkdownIt("commonmark").enable("table").render(text))
    assert not {"script", "img"} & {tag for tag, a in shown.elements if "chart-" not in str(a.get("src"))}
    assert all(not str(a.get("href")).startswith("javascript") for a in shown.all("a"))
    assert "23331" not in text
    assert len(people.BLOCK.findall(text)) == len(people.PROMPTS) + 1


def test_every_table_row_has_the_cells_of_its_head(leak: IncidentFolder, lock: IncidentFolder) -> None:
    """Pipes and line ends of others do not break a table."""
    for incident in (leak, lock):
        for rows in _tables(post_mortem.write(incident).markdown.read_text("utf-8")):
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def _tables(text: str) -> Iterator[list[str]]:
    block: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            block.append(line)
        elif block:
            yield block
            block = []


def test_the_story_of_a_leak(leak: IncidentFolder) -> None:
    """What broke, when, how it was found, what was done by whom, whether it helped, and how long each took."""
    text = post_mortem.write(leak).markdown.read_text("utf-8")
    for wanted in (
        "# Post-mortem: orders fail with 503",
        "It was noticed by: alert ShopErrors.",
        "The cause (confident) is that loyalty-sync leaks connections",
        "From outside: 1 of 3 endpoints fail: api orders answers 503.",
        "It helped (the answers held for 20 s).",
        "It was resolved after 1 min 26 s",
        "| Sessions waiting for locks | not measured |",
        "| until something was changed | 03:50:08 | 03:50:32 | 24 s |",
        "approved 2026-11-21 03:50:29 UTC by eve, key SHA256:q1w2e3r4",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = 4011",
        "2 of 2 calls worked.",
        "| postgres.connections | shop_db | critical: 52 connections (limit 48) | ok: 14 connections (limit 48) |",
        "- redis.memory on shop_cache: timed out (no answer within 3 s)",
        "(and 2 more findings)",
        "| Fix the leak in loyalty-sync: give every connection back on every path, also after an error |",
        "| Mend the access to shop_cache (timed out (no answer within 3 s)) |",
        "The timeline holds: 13 events",
    ):
        assert wanted in text
    assert "not known" not in text


def test_each_support_leads_to_its_evidence(leak: IncidentFolder) -> None:
    """Run, evidence id, the moment, the exact query; and every linked file is there."""
    written = post_mortem.write(leak)
    text = written.markdown.read_text("utf-8")
    run = only_run(leak)
    assert f"evidence ev-3 in [{run.id}](runs/{run.id}/evidence.jsonl)" in text
    by_id = {e.id: e for e in run.evidence()}
    assert by_id["ev-3"].query in text
    links = re.findall(r"\]\((\S+?)\)", text) + [a["href"] for a in page(written.html).all("a") if a.get("href")]
    assert links
    assert all((leak.path / str(link)).is_file() for link in links)


def test_charts_are_files_and_inside_the_page(leak: IncidentFolder) -> None:
    """Rebuilt from the evidence, without leftovers of an earlier time; before and after among them."""
    (leak.path / "post_mortem").mkdir()
    (leak.path / "post_mortem" / "chart-09.png").write_bytes(b"old")
    (leak.path / "post_mortem" / "mine.png").write_bytes(b"mine")
    written = post_mortem.write(leak)
    names = sorted(p.name for p in (leak.path / "post_mortem").iterdir())
    assert names == ["chart-01.png", "chart-02.png", "chart-03.png", "chart-04.png", "mine.png"]
    assert [str(p["alt"])[:27] for p in page(written.html).all("img")] == [
        "52 of 60 connections, 41 op",
        "loyalty-sync holds 41 of 60",
        "2 of 3 endpoints answer wel",
        "3 of 3 bad findings are ok ",
    ]


def test_what_did_not_happen_is_not_told_as_if(lock: IncidentFolder) -> None:
    """No approval, no change, escalated, still open: said so; nothing is claimed to have helped."""
    written = post_mortem.write(lock)
    text = written.markdown.read_text("utf-8")
    for wanted in (
        "Nothing was changed; it was escalated to the owner of order-export.",
        "It is not resolved yet.",
        "- not approved",
        "- not applied: nothing was changed by it",
        "| until something was changed |  |  | not yet |",
        "| in all |  |  | not yet |",
        "What users saw of it was not measured.",
        "postgres.statements does not show it: no statement is slow",
        "- Would settle it: whether the endpoints suffer",
        "Make the transaction of order-export that locks orders short",
        "| Write down what the owner of order-export did",
    ):
        assert wanted in text
    assert "It helped" not in text
    assert "not resolved yet" in page(written.html).text


def test_an_incident_just_declared(tmp_path: Path) -> None:
    """There is something to say before anything was found."""
    incident = Archive.at(tmp_path).incident("inc-new")
    timeline.append(incident, "declared", "it is slow", data={"title": "it is slow"})
    text = post_mortem.write(incident).markdown.read_text("utf-8")
    assert "No verdict was reached. What users saw of it was not measured. Nothing was changed." in text
    assert "Find the cause" in text


def test_a_mitigation_that_did_not_help_is_an_action_item(leak: IncidentFolder) -> None:
    """Worse is told as worse."""
    timeline_file = next(p for p in sorted((leak.path / "timeline").iterdir()) if '"verified"' in p.read_text("utf-8"))
    timeline_file.write_text(timeline_file.read_text("utf-8").replace('"helped"', '"worse"'), "utf-8")
    text = post_mortem.write(leak).markdown.read_text("utf-8")
    assert "It made things worse" in text
    assert "Review the mitigation that did not help: Terminate 38 unused sessions" in text
    assert "| until it was shown to have helped |  |  | did not happen |" in text
    assert "The timeline does **not** hold" in text


def test_one_dead_system_is_one_line(leak: IncidentFolder) -> None:
    """Not one for each question; where its death is the cause, no action item asks to mend the access."""
    lost = [f"postgres.{q} on shop_db: refused (no)" for q in ("connections", "sizes")] + ["something else"]
    down = {"cause": "database_down", "title": "shop_db is down", "subject": {"source": "shop_db"}, "unanswered": lost}
    incident = Archive(leak.path.parent).incident("inc-down")
    timeline.append(incident, "declared", "down", data={"title": "down"})
    timeline.append(incident, "verdict", "down", data={**down, "confidence": "confident", "because": "refused"})
    timeline.append(incident, "escalation_advised", "call", data={"to": "database team", "why": "down"})
    text = post_mortem.write(incident).markdown.read_text("utf-8")
    assert "- postgres.connections, postgres.sizes on shop_db: refused (no)" in text
    assert "Mend the access to something else" in text
    assert "Mend the access to shop_db" not in text
    assert "Nothing was changed; the advice was to call database team." in text


def test_exact_calls_are_never_cut(leak: IncidentFolder) -> None:
    """Five hundred of them are all there, in both forms."""
    calls = [f"SELECT pg_terminate_backend({pid}) -- {'x' * 60}" for pid in range(1000, 1500)]
    timeline.append(leak, "plan_proposed", "many", data={"plan": "p-500", "title": "many", "calls": calls})
    written = post_mortem.write(leak)
    assert all(call in written.markdown.read_text("utf-8") for call in calls)
    assert all(call in page(written.html).text for call in calls)


def test_tampering_is_told(leak: IncidentFolder) -> None:
    """A changed file of a run and a removed event are named in the appendix."""
    run = only_run(leak)
    with (run.path / "evidence.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n")
    sorted((leak.path / "timeline").iterdir())[2].unlink()
    text = post_mortem.write(leak).markdown.read_text("utf-8")
    assert f"{run.id}: evidence.jsonl was changed after the run was sealed" in text
    assert "is gone, though" in text
    assert "no charts: the evidence" in text


def test_a_killed_run_gets_its_report_from_the_post_mortem(leak: IncidentFolder) -> None:
    """Its own writer had no time to."""
    run = leak.new_run("triage")
    killed(run)
    text = post_mortem.write(leak).markdown.read_text("utf-8")
    assert (run.path / "report.html").is_file()
    assert f"| {run.id} | triage | killed |" in text


def test_what_people_wrote_survives(leak: IncidentFolder) -> None:
    """All blocks, any Markdown; the rest is written anew; links and HTML of theirs do no harm in the page."""
    written = post_mortem.write(leak)
    text = written.markdown.read_text("utf-8")
    wrote = (
        "* pools need **limits**\n\n<script>alert(1)</script> [x](javascript:alert(1)) ![y](https://e.example/y.png)"
    )
    for name in people.PROMPTS:
        text = text.replace(
            f"<!-- people:{name} -->\n{people.PROMPTS[name]}\n", f"<!-- people:{name} -->\n{name}: {wrote}\n"
        )
    done = "| Alert at 80 % of max\\_connections on shop_db | why not | Ann | 2026-12-01 | open |"
    text = re.sub(r"\| Alert at 80 % .*", lambda _: done, text)
    text = text.replace(
        "<!-- /people:action-items -->", "| Train two more people |  | Bo |  | open |\n<!-- /people:action-items -->"
    )
    written.markdown.write_text(text, "utf-8")
    for _ in range(2):
        written = post_mortem.write(leak)
    again = written.markdown.read_text("utf-8")
    assert all(f"{name}: {wrote}" in again for name in people.PROMPTS)
    assert done in again
    assert again.count("| Train two more people |  | Bo |  | open |") == 1
    assert again.count("| Fix the leak in loyalty-sync") == 1
    assert "pools need limits" in page(written.html).text
    assert not list(leak.path.glob("post_mortem.kept-*"))


def test_untouched_proposals_follow_the_verdict(leak: IncidentFolder) -> None:
    """An item of ours that no longer fits goes, one that somebody owns stays."""
    table = people.actions(None, [("a", "x"), ("b", "y")]).replace("| b | y |  |  |", "| b | y | Ann |  |")
    assert people.actions(table, [("c", "z")]).splitlines()[2:] == [
        "| b | y | Ann |  | proposed |",
        "| c | z |  |  | proposed |",
    ]


def test_an_edit_outside_of_the_markers_is_kept_beside(leak: IncidentFolder) -> None:
    """Nobody's work is lost, even where the file says that it would be."""
    written = post_mortem.write(leak)
    written.markdown.write_text(written.markdown.read_text("utf-8").replace("## Impact", "## Impact on us"), "utf-8")
    post_mortem.write(leak)
    assert "## Impact on us" in next(iter(leak.path.glob("post_mortem.kept-*.md"))).read_text("utf-8")
    assert "## Impact on us" not in written.markdown.read_text("utf-8")


def test_a_marker_that_is_not_closed_stops(leak: IncidentFolder) -> None:
    """Rather than lose what stands behind it; the file stays as it was."""
    written = post_mortem.write(leak)
    broken = written.markdown.read_text("utf-8").replace("<!-- /people:went-well -->", "")
    written.markdown.write_text(broken, "utf-8")
    with pytest.raises(ArchiveError, match="people:went-well is not closed"):
        post_mortem.write(leak)
    assert written.markdown.read_text("utf-8") == broken


def test_every_cause_of_the_catalogue_has_action_items() -> None:
    """A new cause without any gives a message that says where to add them."""
    from runbook_lib.diagnosis.engine import catalogue

    lacking = {cause.id for cause in catalogue()} - action_items.BY_CAUSE.keys()
    assert not lacking, f"add items for {sorted(lacking)} to runbook_lib/reports/action_items.py"


@pytest.mark.parametrize("cause", sorted(action_items.BY_CAUSE))
def test_action_items_name_the_subject(cause: str) -> None:
    """With a full subject by its names, with an empty one still as sentences."""
    names = {"application": "APP", "table": "TAB", "source": "SRC", "column": "{COL}"}
    full = action_items.propose(cause, names, {})
    assert any(name in action for action, _ in full for name in names.values())
    assert not [a for a, _ in action_items.propose(cause, {}, {}) if "{" in a]


def test_the_surest_verdict_from_before_the_change_is_the_cause(leak: IncidentFolder) -> None:
    """A later `healthy`, and a vaguer one before, do not replace it."""
    timeline.append(leak, "verdict", "healthy now", data={"cause": "healthy", "title": "ok", "confidence": "confident"})
    assert story.tell(leak).cause == "connection_leak"


def test_the_command(leak: IncidentFolder) -> None:
    """Prints where it wrote, as text or as one JSON object; an unknown incident is one line."""
    archive = str(leak.path.parent)
    done = CliRunner().invoke(command, ["inc-leak", "--archive", archive, "--json"])
    assert json.loads(done.stdout) == {
        "incident": "inc-leak",
        "markdown": str(leak.path / "post_mortem.md"),
        "html": str(leak.path / "post_mortem.html"),
    }
    assert str(leak.path / "post_mortem.md") in CliRunner().invoke(command, ["inc-leak", "--archive", archive]).stdout
    missing = CliRunner().invoke(command, ["inc-none", "--archive", archive])
    assert isinstance(missing.exception, ArchiveError)
    assert not (leak.path.parent / "inc-none").exists()


def test_markdown_is_escaped_by_construction() -> None:
    """One line, nothing of it markup; a fence is longer than what it holds."""
    assert str(escape_markdown("# a")) == "\\# a"
    assert str(escape_markdown("1. a")) == "1\\. a"
    assert str(escape_markdown("7.3 s")) == "7.3 s"
    assert str(fenced("a ```` b")).startswith("`````")
    assert "<script>" not in markdown("<script>")
