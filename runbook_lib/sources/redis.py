"""Redis and Valkey: a query is one command; what comes back is made into rows by its shape."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from runbook_lib.drivers import redis
from runbook_lib.model import Json, Target
from runbook_lib.profile import Source
from runbook_lib.queries import Query
from runbook_lib.sources import Answer

RENAMED = {"duration": "duration_us"}


@dataclass(frozen=True, slots=True)
class Session:
    client: Any
    source: Source
    target: Target

    def ask(self, query: Query, params: Mapping[str, Json], seconds: float) -> Answer:  # noqa: ARG002 - see `session`
        if query.each:
            keys = getattr(self.source.parse(redis.Settings), query.each)
            texts = [query.text.format(key=key) for key in keys]
            lengths: list[tuple[Any, ...]] = [
                (key, redis.command(self.client, *(word.format(key=key) for word in query.text.split())))
                for key in keys
            ]
            return Answer(rows=lengths, text="\n".join(texts))
        reply = redis.command(self.client, *query.text.split())
        replies = reply if isinstance(reply, list) else [reply]
        rows = [tuple(_named(r).get(column) for column in query.columns) for r in replies]
        return Answer(rows=rows, text=query.text)


def _named(reply: Mapping[str, Any]) -> dict[str, Any]:
    return {RENAMED.get(name, name): value for name, value in reply.items()}


@contextmanager
def session(source: Source, *, label: str, seconds: float) -> Iterator[Session]:
    """The deadline is the client's socket time-out: a command cannot be limited one by one."""
    with redis.reading(source, application_name=label, seconds=seconds) as client:
        yield Session(client, source, redis.identify(client, source))
