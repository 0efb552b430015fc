"""The timeline keeps what was written, in order, and notices what was changed."""

import json
import threading
from pathlib import Path

import pytest

from runbook_lib.archive import timeline
from runbook_lib.archive.store import Archive, IncidentFolder
from runbook_lib.errors import ArchiveError


@pytest.fixture
def incident(tmp_path: Path) -> IncidentFolder:
    return Archive.at(tmp_path).incident("inc-1")


def test_order_and_chain(incident: IncidentFolder) -> None:
    """Events come back in the order of time, and the chain holds."""
    for n in range(5):
        timeline.append(incident, "note", f"number {n}")
    assert [e.text for e in timeline.read(incident)] == [f"number {n}" for n in range(5)]
    assert timeline.verify(incident) == []


def test_a_changed_and_a_removed_event_are_noticed(incident: IncidentFolder) -> None:
    """Each by name, and who saw it as it was."""
    events = [timeline.append(incident, "note", f"number {n}") for n in range(4)]
    paths = [incident.path / "timeline" / f"{e.id}.json" for e in events]
    paths[0].write_text(json.dumps({**json.loads(paths[0].read_text()), "text": "never happened"}))
    paths[2].unlink()
    said = timeline.verify(incident)
    assert f"timeline event {events[0].id} was changed after {events[1].id} saw it" in said
    assert f"timeline event {events[2].id} is gone, though {events[3].id} saw it" in said


def test_a_torn_event_is_told_and_stops_nobody(incident: IncidentFolder) -> None:
    """It is read as unreadable, the check names it, and the next event can be written."""
    events = [timeline.append(incident, "note", f"number {n}") for n in range(2)]
    torn = incident.path / "timeline" / f"{events[0].id}.json"
    torn.write_text(torn.read_text()[:40])
    timeline.append(incident, "note", "later")
    assert sorted(e.kind for e in timeline.read(incident)) == ["note", "note", "unreadable"]
    assert [w for w in timeline.verify(incident) if torn.name in w]


def test_a_changed_event_is_noticed_by_the_next(incident: IncidentFolder) -> None:
    """The hash that its successor names no longer fits."""
    event = timeline.append(incident, "note", "as it was")
    timeline.append(incident, "note", "later")
    path = incident.path / "timeline" / f"{event.id}.json"
    path.write_text(path.read_text().replace("as it was", "as I want it"))
    assert timeline.verify(incident) == [wrong for wrong in timeline.verify(incident) if "was changed" in wrong] != []


def test_many_writers_lose_nothing(incident: IncidentFolder) -> None:
    """Eight threads, 20 events each: all are there, and the chain holds."""
    writers = [
        threading.Thread(target=lambda n=n: [timeline.append(incident, "note", f"{n}.{m}") for m in range(20)])
        for n in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len({e.text for e in timeline.read(incident)}) == 160
    assert timeline.verify(incident) == []


def test_no_secret_in_an_event(incident: IncidentFolder) -> None:
    """Text and data are redacted before they are written."""
    timeline.append(incident, "note", "postgres://app:swordfish-1@db", data={"header": "Bearer abcdefghijklmnop"})
    text = next((incident.path / "timeline").iterdir()).read_text()
    assert "swordfish-1" not in text
    assert "abcdefghijklmnop" not in text


@pytest.mark.parametrize("name", ["..", "a/b", "", "-x", "a" * 65, "a b"])
def test_an_incident_id_is_no_path(tmp_path: Path, name: str) -> None:
    """Nothing outside of the archive can be named."""
    with pytest.raises(ArchiveError, match="no incident id"):
        Archive.at(tmp_path).incident(name)
