"""What the sandbox says about itself."""

from dataclasses import asdict, dataclass
from pathlib import Path

SNAPSHOT = "snapshot"
SIMULATED = {
    "apiserver": "answers as the files of the snapshot say; no process stands behind its pods",
    "payments": "stands for a third party: it approves every charge after 4 ms",
    "load": "stands for the customers: 20 requests a second, whatever becomes of them",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process of the sandbox; `simulated` says what it stands for when it is not the real thing."""

    name: str
    pid: int
    port: int
    running: bool
    simulated: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The truth about what was broken: the answer that a drill grades against.

    `subject` names what an investigation has to find (pid, application, table, column or source, as the cause has it),
    `mitigation` what fits, `since` when it began (ISO 8601, UTC).
    """

    fault: str
    cause: str
    subject: dict[str, object]
    mitigation: str | None
    since: str

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A sandbox as it is now.

    `phase` is `starting`, `up` or `dead` (its supervisor is gone, the folder is stale); `load` is what the load
    generator saw in its last whole second (`at`, `requests`, `errors`, `dropped`, `p50_ms`, `p95_ms`).
    """

    state: Path
    phase: str
    seed: int
    pid: int
    since: str
    names: dict[str, str]
    services: tuple[Service, ...]
    fault: Fault | None
    load: dict[str, object] | None

    @property
    def sources(self) -> Path:
        """The endpoints and secret references of this sandbox."""
        return self.state / "sources.yaml"

    @property
    def profile(self) -> Path:
        """A profile to run notebooks with."""
        return self.state / "profile.yaml"

    def as_dict(self) -> dict[str, object]:
        paths = {"state": str(self.state), "sources": str(self.sources), "profile": str(self.profile)}
        return asdict(self) | paths
