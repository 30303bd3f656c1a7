"""`airflow aimass settings apply`: connections, pools and variables from a file in the Astro CLI's format, without it.

The semantics are the Astro CLI's: entries without a name are skipped, a connection that exists is replaced, and
``conn_uri`` counts only where no other field is set.
"""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from aimass.cli.console import Exit, command, say
from aimass.core.errors import AimassError, ConfigError, UnreachableError, from_os_error
from aimass.core.settings import Settings, parse_settings
from aimass.pipelines.document import DocumentError, parse_document

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class ConnectionEntry(Settings):
    """One connection."""

    conn_id: str | None = Field(default=None, description="Its id; an entry without one is skipped.")
    conn_type: str | None = Field(default=None, description="Its type; needed unless conn_uri is given.")
    conn_host: str | None = Field(default=None, description="Host.")
    conn_schema: str | None = Field(default=None, description="Schema.")
    conn_login: str | None = Field(default=None, description="User.")
    conn_password: str | None = Field(default=None, description="Password.")
    conn_port: int | None = Field(default=None, ge=0, le=65535, description="Port.")
    conn_uri: str | None = Field(
        default=None, description="Everything as one URI; counts only where nothing else is set."
    )
    conn_extra: dict[str, Any] | str | None = Field(default=None, description="Extras: a mapping, or JSON.")


class PoolEntry(Settings):
    """One pool."""

    pool_name: str | None = Field(default=None, description="Its name; an entry without one is skipped.")
    pool_slot: int | None = Field(default=None, description="Number of slots; an entry without slots is skipped.")
    pool_description: str | None = Field(default=None, description="What it is for.")


class VariableEntry(Settings):
    """One variable."""

    variable_name: str | None = Field(default=None, description="Its name; an entry without one is skipped.")
    variable_value: Any = Field(default=None, description="Its value; an entry without one is skipped.")


class AirflowSettings(Settings):
    """What stands under ``airflow:``."""

    connections: list[ConnectionEntry] | None = Field(default=None, description="Connections.")
    pools: list[PoolEntry] | None = Field(default=None, description="Pools.")
    variables: list[VariableEntry] | None = Field(default=None, description="Variables.")


class SettingsFile(Settings):
    """The file."""

    airflow: AirflowSettings | None = Field(default=None, description="Everything.")


@command
def apply(args: Namespace) -> Exit:
    """Make Airflow's database as the file says, in one transaction; values are never printed."""
    wanted = read_settings(Path(args.file))
    from airflow.utils.session import create_session
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session() as session:
            _tell("connections", [_put_connection(entry, session) for entry in wanted.connections or []])
            _tell("pools", [_put_pool(entry, session) for entry in wanted.pools or []])
            _tell("variables", [_put_variable(entry, session) for entry in wanted.variables or []])
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise UnreachableError(f"Airflow's database refuses: {reason}", hint="Run airflow db migrate first") from None
    return Exit.OK


def _tell(kind: str, done: list[bool]) -> None:
    skipped = f", {done.count(False)} skipped" if False in done else ""
    say(f"{kind}: {done.count(True)} applied{skipped}")


def read_settings(file: Path) -> AirflowSettings:
    """Read the file; unknown keys and wrong types are errors with their place."""
    try:
        content = parse_document(file.read_text(encoding="utf-8")).content
    except OSError as error:
        raise from_os_error(error, doing="reading the settings") from error
    except (DocumentError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {getattr(error, 'key', '')} {error}") from None
    try:
        found = parse_settings(SettingsFile, content or {}, where=str(file))
    except ConfigError as error:
        # The value that was seen may be a password: say the place only.
        places = "; ".join(f"{key}: {text.partition(' (seen:')[0]}" for key, text in error.details["mistakes"])
        raise ConfigError(f"In {file}: {places}") from None
    return found.airflow or AirflowSettings()


def _put_connection(entry: ConnectionEntry, session: Session) -> bool:
    from airflow.models import Connection  # noqa: TID251 - a command line has the database that a task has not

    if not entry.conn_id or not (entry.conn_type or entry.conn_uri):
        return False
    fields = entry.model_dump(exclude={"conn_id", "conn_uri", "conn_extra"}, exclude_none=True)
    try:
        if fields or entry.conn_extra:
            made = Connection(
                conn_id=entry.conn_id,
                conn_type=entry.conn_type,
                host=entry.conn_host,
                schema=entry.conn_schema,
                login=entry.conn_login,
                password=entry.conn_password,
                port=entry.conn_port,
                extra=_extra(entry),
            )
        else:
            made = Connection(conn_id=entry.conn_id, uri=entry.conn_uri)
    except (ValueError, RuntimeError) as error:
        raise _bad_connection(entry.conn_id) from (None if entry.conn_uri or entry.conn_password else error)
    session.query(Connection).filter(Connection.conn_id == entry.conn_id).delete()
    session.add(made)
    session.flush()
    say(f"  connection {entry.conn_id} ({made.conn_type})")
    return True


def _put_pool(entry: PoolEntry, session: Session) -> bool:
    from airflow.models import Pool  # noqa: TID251 - as above

    if not entry.pool_name or not entry.pool_slot:
        return False
    Pool.create_or_update_pool(
        entry.pool_name, entry.pool_slot, entry.pool_description or "", include_deferred=False, session=session
    )
    say(f"  pool {entry.pool_name} ({entry.pool_slot} slots)")
    return True


def _put_variable(entry: VariableEntry, session: Session) -> bool:
    from airflow.models import Variable  # noqa: TID251 - as above

    if not entry.variable_name or entry.variable_value in (None, ""):
        return False
    value = entry.variable_value
    Variable.set(entry.variable_name, value if isinstance(value, str) else json.dumps(value), session=session)
    say(f"  variable {entry.variable_name}")
    return True


def _extra(entry: ConnectionEntry) -> str | None:
    if entry.conn_extra is None or isinstance(entry.conn_extra, str):
        return entry.conn_extra or None
    return json.dumps(entry.conn_extra)


def _bad_connection(conn_id: str) -> AimassError:
    return ConfigError(
        f"The connection {conn_id!r} cannot be made",
        expected="conn_type with fields, or conn_uri as type://user:password@host",
    )
