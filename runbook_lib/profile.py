"""A platform as its people know it: severities, escalation, thresholds, and the systems that can be asked.

A profile is one YAML file. `extends` names another profile that it changes; `sources_from` names a file that holds only
`sources` (the sandbox writes one, with its free ports). Source settings stay raw: each driver knows its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from runbook_lib import workspace
from runbook_lib.errors import ProfileError
from runbook_lib.model import Json
from runbook_lib.text import nearest

Marks = dict[tuple[str | int, ...], str]
Settings = TypeVar("Settings", bound=BaseModel)
DEEPEST = 8
YAML = (".yaml", ".yml")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Severity(Strict):
    """What a level means, and the minutes until somebody responds and until the next update; None: left unsaid."""

    definition: str
    examples: tuple[str, ...] = ()
    response_minutes: int | None = None
    update_minutes: int | None = None


class Escalation(Strict):
    """After how many minutes without resolution who is called."""

    after_minutes: int
    contact: str


class Document(Strict):
    """The keys of a profile's file."""

    title: str
    severities: dict[str, Severity]
    escalation: tuple[Escalation, ...] = ()
    thresholds: dict[str, dict[str, Json]] = {}
    sources: dict[str, dict[str, Json]] = {}


@dataclass(frozen=True, slots=True)
class Source:
    """One system of the platform: `settings` as written; `marks` tell the file and line of each."""

    name: str
    kind: str
    settings: Mapping[str, Json]
    marks: Marks

    def parse(self, model: type[Settings]) -> Settings:
        """The settings as the driver's own model. Raises ProfileError with file and line."""
        given = {key: value for key, value in self.settings.items() if key != "kind"}
        return _validate(model, given, self.marks, ("sources", self.name))


@dataclass(frozen=True, slots=True)
class Profile:
    """A loaded profile; `name` is what it was asked for as, `path` its file."""

    name: str
    path: Path
    document: Document
    marks: Marks

    @property
    def title(self) -> str:
        return self.document.title

    @property
    def thresholds(self) -> Mapping[str, Mapping[str, Json]]:
        return self.document.thresholds

    @property
    def sources(self) -> dict[str, Source]:
        return {
            name: Source(name, str(settings["kind"]), settings, self.marks)
            for name, settings in self.document.sources.items()
        }

    def where(self, *keys: str | int) -> str:
        """File and line of a key, or of the nearest one above it."""
        return _where(self.marks, keys)


def load(name: str) -> Profile:
    """Loads `parameters/profiles/NAME.yaml`, or a path. Raises ProfileError: file, line, what to do."""
    path = _locate(name)
    raw, marks = _read(path, depth=0)
    external = raw.pop("sources_from", None)
    if external is not None:
        sources, source_marks = _sources(external, _where(marks, ("sources_from",)))
        own = raw.get("sources") or {}
        if not isinstance(own, dict):
            raise ProfileError(f"{_where(marks, ('sources',))}: sources is a mapping of names to settings")
        raw["sources"] = {**sources, **own}
        marks = {**source_marks, **marks}
    document = _validate(Document, raw, marks, ())
    for source, settings in document.sources.items():
        if not isinstance(settings.get("kind"), str):
            raise ProfileError(
                f"{_where(marks, ('sources', source))}: source {source} has no kind (postgres, redis, ...)"
            )
    return Profile(path.stem, path, document, marks)


def _locate(name: str) -> Path:
    if name.endswith(YAML) or "/" in name:
        path = Path(name).expanduser().absolute()
        if not path.is_file():
            raise ProfileError(f"profile {path} is not there")
        return path
    folder = workspace.root() / "parameters" / "profiles"
    known = {p.stem: p for p in folder.glob("*.yaml")}
    if name not in known:
        raise ProfileError(f"there is no profile {name!r} in {folder}{nearest(name, known)}")
    return known[name]


def _read(path: Path, depth: int) -> tuple[dict[str, Any], Marks]:
    raw, marks = _yaml(path)
    base = raw.pop("extends", None)
    if base is None:
        return raw, marks
    if depth == DEEPEST:
        raise ProfileError(f"{_where(marks, ('extends',))}: extends goes round in a circle")
    named = str(base)
    beside = path.parent / Path(named).expanduser()
    inherited, inherited_marks = _read(_locate(str(beside) if named.endswith(YAML) else named), depth + 1)
    return _merge(inherited, raw), {**inherited_marks, **marks}


def _sources(name: object, where: str) -> tuple[dict[str, Any], Marks]:
    path = Path(str(name)).expanduser()
    path = path if path.is_absolute() else workspace.root() / path
    if not path.is_file():
        raise ProfileError(f"{where}: {path} is not there; for the sandbox, start it: runbook sandbox up")
    raw, marks = _yaml(path)
    if raw.keys() != {"sources"} or not isinstance(raw["sources"], dict):
        raise ProfileError(f"{path}: holds {', '.join(raw) or 'nothing'}, expected only sources")
    return raw["sources"], marks


def _merge(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged


def _yaml(path: Path) -> tuple[dict[str, Any], Marks]:
    try:
        text = path.read_text("utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        raw = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path} cannot be read: {error}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ProfileError(f"{path}:{line}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ProfileError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ProfileError(f"{path}:1: a profile is a mapping")
    marks: Marks = {}
    try:
        _mark(node, (), path, marks)
    except RecursionError as error:
        raise ProfileError(f"{path}: an anchor holds itself") from error
    return raw, marks


def _mark(node: Any, at: tuple[str | int, ...], path: Path, marks: Marks) -> None:
    marks.setdefault(at, f"{path}:{node.start_mark.line + 1}")
    if isinstance(node, yaml.MappingNode):
        names: set[str] = set()
        for key, value in node.value:
            place = f"{path}:{key.start_mark.line + 1}"
            if str(key.value) in names:
                raise ProfileError(f"{place}: {key.value} stands here a second time: the first would be lost")
            names.add(str(key.value))
            marks[(*at, key.value)] = place
            _mark(value, (*at, key.value), path, marks)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _mark(value, (*at, index), path, marks)


def _where(marks: Marks, keys: tuple[str | int, ...]) -> str:
    for length in range(len(keys), -1, -1):
        if keys[:length] in marks:
            return marks[keys[:length]]
    return "profile"


def _validate(model: type[Settings], raw: Mapping[str, Any], marks: Marks, at: tuple[str | int, ...]) -> Settings:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        keys = (*at, *first["loc"])
        key = ".".join(str(k) for k in keys) or "profile"
        if first["type"] == "extra_forbidden":
            hint = nearest(str(first["loc"][-1]), model.model_fields) if len(first["loc"]) == 1 else ""
            raise ProfileError(f"{_where(marks, keys)}: unknown key {key}{hint}") from error
        raise ProfileError(f"{_where(marks, keys)}: {key}: {first['msg']}") from error
