"""Index versions and releases, which one is live, and who serves it."""

import difflib
import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from dialekt.errors import NotFoundError, StorageError
from dialekt.index.documents import live_of, tail_of
from dialekt.index.records import (
    EngineSpec,
    IndexVersion,
    Release,
    SearchSettings,
    Server,
    State,
    Switch,
    SwitchKind,
)
from dialekt.store.sqlite import Database

SERVER_SECONDS = 5.0  # a server that was not seen for longer has ended

_SPEC = TypeAdapter(EngineSpec)
_SETTINGS = TypeAdapter(SearchSettings)


class Catalogue:
    """What an index consists of. Every method is one transaction; any thread or process may call."""

    def __init__(self, database: Database):
        self._database = database

    @property
    def namespace(self) -> str:
        """Eight characters that tell this index's tables from another's on the same server."""
        return self._fact("namespace")

    def add_version(self, space: str, spec: EngineSpec, *, created: str) -> IndexVersion:
        """Add an index version without rows, under construction."""
        with self._database.writing() as connection:
            name = f"i{_next(connection, 'last version')}"
            row = (name, space, _dump(asdict(spec)), State.BUILDING, created, 0)
            connection.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?)", row)
        return self.version(name)

    def add_release(self, version: str, *, model: str, model_id: str, created: str) -> Release:
        """Add a release over an index version, under construction."""
        with self._database.writing() as connection:
            name = f"r{_next(connection, 'last release')}"
            settings = _dump(asdict(SearchSettings()))
            row = (name, version, model, model_id, settings, State.BUILDING, created, "{}")
            connection.execute("INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return self.release(name)

    def versions(self) -> list[IndexVersion]:
        """Return all index versions, oldest first."""
        with self._database.reading() as connection:
            return [_version(row) for row in connection.execute("SELECT * FROM versions ORDER BY rowid")]

    def releases(self) -> list[Release]:
        """Return all releases, oldest first."""
        with self._database.reading() as connection:
            return [_release(row) for row in connection.execute("SELECT * FROM releases ORDER BY rowid")]

    def version(self, name: str) -> IndexVersion:
        """Return an index version. Raises `NotFoundError`."""
        found: IndexVersion = _named(self.versions(), name, what="index version")
        return found

    def release(self, name: str) -> Release:
        """Return a release by its name, or the live one as `live`. Raises `NotFoundError` that names the nearest."""
        wanted = self.live() if name == "live" else name
        if not wanted:
            raise NotFoundError("no release is live yet", hint="dialekt index build makes the first one")
        found: Release = _named(self.releases(), wanted, what="release")
        return found

    def live(self) -> str:
        """Return the name of the live release; empty where none is."""
        with self._database.reading() as connection:
            return live_of(connection)

    def history(self) -> list[Switch]:
        """Return all switches, in order."""
        with self._database.reading() as connection:
            return [_switch(row) for row in connection.execute("SELECT * FROM switches ORDER BY n")]

    def previous(self) -> str:
        """Return the release that a rollback goes back to; empty where there is none."""
        stack: list[str] = []
        for entry in self.history():
            match entry.kind:
                case SwitchKind.CUT_OVER:
                    stack.append(entry.release)
                case SwitchKind.ROLLBACK:
                    stack.pop()
        return stack[-2] if len(stack) > 1 else ""

    def set_position(self, version: str, position: int) -> None:
        """Record that an index version holds the log up to a position."""
        self._set("UPDATE versions SET position = ? WHERE name = ?", (position, version))

    def set_version_ready(self, version: str) -> None:
        """Record that an index version holds all documents and its indexes are made."""
        self._set("UPDATE versions SET state = ? WHERE name = ?", (State.READY, version))

    def set_settings(self, release: str, settings: SearchSettings) -> None:
        """Record how hard a release's searches try."""
        self._set("UPDATE releases SET settings = ? WHERE name = ?", (_dump(asdict(settings)), release))

    def set_facts(self, release: str, facts: Mapping[str, Any]) -> None:
        """Add to what is known of a release."""
        with self._database.writing() as connection:
            row = connection.execute("SELECT facts FROM releases WHERE name = ?", (release,)).fetchone()
            merged = {**json.loads(row["facts"]), **facts}
            connection.execute("UPDATE releases SET facts = ? WHERE name = ?", (_dump(merged), release))

    def forget_fact(self, release: str, name: str) -> None:
        """Remove something that is no longer true of a release."""
        with self._database.writing() as connection:
            row = connection.execute("SELECT facts FROM releases WHERE name = ?", (release,)).fetchone()
            kept = {key: value for key, value in json.loads(row["facts"]).items() if key != name}
            connection.execute("UPDATE releases SET facts = ? WHERE name = ?", (_dump(kept), release))

    def set_release_ready(self, release: str) -> None:
        """Record that a release has passed its checks."""
        self._set("UPDATE releases SET state = ? WHERE name = ?", (State.READY, release))

    def switch(self, entry: Switch, *, catch_up: Callable[[], int]) -> None:
        """Make a release live, in the same transaction that sees its index hold the whole log.

        While the transaction holds all writers off, `catch_up` applies what is left of the log, from another thread,
        and returns the position that the release's index holds then. Whatever it raises leaves the old release live.
        """
        with self._database.writing() as connection:
            if live_of(connection) != entry.previous:
                raise StorageError("another command changed the live release", hint="look: dialekt index list")
            position = catch_up()
            if position != tail_of(connection):
                raise StorageError(
                    f"the index holds the log up to {position:,} of {tail_of(connection):,}", hint="try again"
                )
            connection.execute(
                "UPDATE versions SET position = ? WHERE name = (SELECT version FROM releases WHERE name = ?)",
                (position, entry.release),
            )
            values = (entry.at, entry.kind, entry.release, entry.previous, entry.reason, _dump(entry.overridden))
            connection.execute(
                "INSERT INTO switches (at, kind, release, previous, reason, overridden) VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )
            connection.execute("UPDATE facts SET value = '' WHERE name = 'announced'")

    def remove_release(self, name: str, *, version: str) -> None:
        """Forget a release and, unless it is empty, its index version, whose vectors are gone."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM releases WHERE name = ?", (name,))
            connection.execute("DELETE FROM versions WHERE name = ?", (version,))

    def announce(self, release: str) -> None:
        """Ask all servers to get ready for a release, so that they can follow its switch at once; empty: for none."""
        self._set("UPDATE facts SET value = ? WHERE name = 'announced'", (release,))

    def announced(self) -> str:
        """Return the release that servers are to get ready for; empty where there is none."""
        return self._fact("announced")

    def report_server(self, server: str, *, release: str, prepared: str) -> None:
        """Record what a process answers from, and what it is ready to answer from."""
        self._set("INSERT OR REPLACE INTO servers VALUES (?, ?, ?, ?)", (server, release, prepared, time.time()))

    def forget_server(self, server: str) -> None:
        """Record that a process serves no longer."""
        self._set("DELETE FROM servers WHERE name = ? OR seen < ?", (server, time.time() - 60 * SERVER_SECONDS))

    def servers(self) -> list[Server]:
        """Return the processes that serve the index now."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM servers WHERE seen > ?", (time.time() - SERVER_SECONDS,))
            return [Server(row["name"], row["release"], row["prepared"], row["seen"]) for row in rows]

    def _set(self, statement: str, values: Sequence[object]) -> None:
        with self._database.writing() as connection:
            connection.execute(statement, values)

    def _fact(self, name: str) -> str:
        with self._database.reading() as connection:
            return str(connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()["value"])


def wait_for_servers(
    catalogue: Catalogue, release: str, *, seconds: float, waiting: Callable[[int], None] = lambda _: None
) -> bool:
    """Announce a release and wait until every server is ready for it; False when one was not in time."""
    catalogue.announce(release)
    end = time.monotonic() + seconds
    while True:
        behind = sum(release not in {server.prepared, server.release} for server in catalogue.servers())
        if not behind:
            return True
        if time.monotonic() > end:
            return False
        waiting(behind)
        time.sleep(0.1)


def _next(connection: sqlite3.Connection, counter: str) -> int:
    connection.execute("UPDATE facts SET value = CAST(value AS INTEGER) + 1 WHERE name = ?", (counter,))
    return int(connection.execute("SELECT value FROM facts WHERE name = ?", (counter,)).fetchone()["value"])


def _named(rows: Sequence[Any], name: str, *, what: str) -> Any:
    found = next((row for row in rows if row.name == name), None)
    if found is None:
        near = difflib.get_close_matches(name, [row.name for row in rows], n=1, cutoff=0.0)
        hint = f"did you mean {near[0]!r}? dialekt index list shows all" if near else "dialekt index build makes one"
        raise NotFoundError(f"there is no {what} {name!r}", hint=hint)
    return found


def _version(row: sqlite3.Row) -> IndexVersion:
    spec = _SPEC.validate_json(row["spec"])
    return IndexVersion(row["name"], row["space"], spec, State(row["state"]), row["created"], row["position"])


def _release(row: sqlite3.Row) -> Release:
    settings = _SETTINGS.validate_json(row["settings"])
    facts = json.loads(row["facts"])
    return Release(
        row["name"], row["version"], row["model"], row["model_id"], settings, State(row["state"]), row["created"], facts
    )


def _switch(row: sqlite3.Row) -> Switch:
    overridden = tuple(json.loads(row["overridden"]))
    return Switch(row["at"], SwitchKind(row["kind"]), row["release"], row["previous"], row["reason"], overridden)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
