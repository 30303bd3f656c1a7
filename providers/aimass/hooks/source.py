"""What the hooks of data sources share: a connection of our type, or of the official provider's, as the engine's."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret

from aimass.core.connections import ConnectionSettings, parse_connection
from aimass.core.errors import AimassError, ConfigError, MissingDependencyError

C = TypeVar("C", bound=ConnectionSettings)
TYPE_PREFIX = "aimass_"
TEST_TIMEOUT_S = 10


class SourceHook(BaseHook, Generic[C]):
    """Reaches the server that a connection describes.

    Parameters
    ----------
    conn_id : str, optional
        Connection of our own type, or of the type that the official provider has for such servers; the one that is
        called like our type when left out.

    Attributes
    ----------
    model : type
        The engine's model of such connections.
    secrets : tuple of str
        Its fields that no log may show.
    """

    conn_name_attr = "conn_id"
    default_conn_name: ClassVar[str]
    conn_type: ClassVar[str]
    model: type[C]
    secrets: ClassVar[tuple[str, ...]] = ("password",)

    def __init__(self, conn_id: str | None = None) -> None:
        super().__init__()
        self.conn_id = conn_id or self.default_conn_name

    def read(self, connection: Connection) -> dict[str, Any]:
        """Return the fields of `model` that `connection` gives; raises ConfigError where it asks for the impossible."""
        raise TypeError(f"{type(self).__name__} does not say how a connection is read")

    def check(self, connection: C) -> str:
        """Ask the server for something small; return what came of it. Raises AimassError, OSError."""
        raise TypeError(f"{type(self).__name__} does not say what a server is asked")

    def document(self) -> dict[str, Any]:
        """Return the connection as the engine's document; its secrets are masked in logs from now on.

        Raises
        ------
        ConfigError
            The connection lacks something, or asks for what the engine will not do.
        """
        document = self.read(self.get_connection(self.conn_id))
        for name in self.secrets:
            if document.get(name):
                mask_secret(document[name])
        return document

    def settings(self) -> C:
        """Return the connection as the engine's model; raises ConfigError, which tells no value."""
        return parse_connection(self.conn_id, self.document(), self.model)

    def get_conn(self) -> Any:
        """Return the connection as the engine's model, or a client of the server's own library."""
        return self.settings()

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server for something small; return whether that worked and what came of it, soon."""
        try:
            found = self.settings()
            times = [name for name in type(found).model_fields if name.endswith("timeout_s")]
            limits = {name: min(getattr(found, name), TEST_TIMEOUT_S) for name in times}
            return True, self.check(found.model_copy(update=limits))
        except ModuleNotFoundError as error:
            missing = MissingDependencyError(error.name or str(error), extra=self.conn_type.removeprefix(TYPE_PREFIX))
            return False, str(missing)
        except (AimassError, OSError) as error:
            return False, str(error)


def account(connection: Connection) -> dict[str, Any]:
    """Return where a server is and who asks, by the engine's names."""
    return {
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
    }


def ca_file_of_standard(connection: Connection) -> str | None:
    """Return the CA file that `verify` names, as the extra of the types ``aws`` and ``webhdfs`` has it.

    Raises
    ------
    ConfigError
        It asks not to verify certificates.
    """
    verify = connection.extra_dejson.get("verify")
    word = str(verify).lower()
    if word == "false":
        raise ConfigError(
            f"The connection {connection.conn_id!r} sets verify to false",
            expected="the path of a CA file in verify",
            conn_id=connection.conn_id,
        )
    return verify if isinstance(verify, str) and word != "true" else None
