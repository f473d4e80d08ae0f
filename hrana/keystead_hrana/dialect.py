"""`sqlite+hrana://host:port/?namespace=acme&tls=1`: SQLite's own dialect over this driver.

Nothing of pysqlite's: no functions can be made in the server (`regexp`, `floor`), and dates are text as SQLAlchemy
stores them. There is no pool: a connection holds nothing until a transaction starts, and sockets are shared anyway.
"""

from typing import Any, cast

from sqlalchemy import URL
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, Pool

from keystead_hrana.errors import LOST

_SECONDS = frozenset({"connect_timeout", "timeout"})
_FLAGS = frozenset({"foreign_keys"})
_TEXTS = frozenset({"namespace", "token", "mode", "transport"})


class HranaDialect(SQLiteDialect):
    driver = "hrana"
    default_paramstyle = "qmark"
    supports_statement_cache = True
    returns_native_bytes = True

    @classmethod
    def import_dbapi(cls) -> Any:
        import keystead_hrana

        return keystead_hrana

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:
        return NullPool

    def create_connect_args(self, url: URL) -> Any:
        query = {name: _single(name, value) for name, value in url.query.items()}
        scheme = "https" if _flag("tls", query.pop("tls", "0")) else "http"
        if not url.host:
            raise ArgumentError("the URL of a Hrana server names its host: sqlite+hrana://host:port/")
        host = f"[{url.host}]" if ":" in url.host else url.host
        port = f":{url.port}" if url.port else ""
        options = {name: _option(name, text) for name, text in query.items()}
        if url.password is not None:
            options["token"] = str(url.password)
        return [f"{scheme}://{host}{port}/{url.database or ''}"], options

    def do_begin(self, dbapi_connection: Any) -> None:
        if not dbapi_connection.autocommit:
            dbapi_connection.begin(dbapi_connection.mode, foreign_keys=dbapi_connection.foreign_keys)

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        return isinstance(e, LOST)

    def get_isolation_level_values(self, dbapi_connection: DBAPIConnection) -> list[Any]:
        return ["SERIALIZABLE", "AUTOCOMMIT"]

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        dbapi_connection.autocommit = level == "AUTOCOMMIT"

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        return "AUTOCOMMIT" if dbapi_connection.autocommit else "SERIALIZABLE"

    def get_default_isolation_level(self, dbapi_conn: Any) -> Any:
        return "SERIALIZABLE"

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        return bool(dbapi_conn.autocommit)

    def _get_server_version_info(self, connection: Any) -> Any:
        return cast(Any, self.dbapi).sqlite_version_info


def _single(name: str, value: str | tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise ArgumentError(f"{name} stands twice in the URL")
    return value


def _option(name: str, text: str) -> Any:
    if name in _TEXTS:
        return text
    if name in _FLAGS:
        return _flag(name, text)
    if name in _SECONDS:
        return _seconds(name, text)
    raise ArgumentError(f"{name} is no option of sqlite+hrana")


def _seconds(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentError(f"{name} is a number of seconds") from None


def _flag(name: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise ArgumentError(f"{name} is 0 or 1")
    return text == "1"
