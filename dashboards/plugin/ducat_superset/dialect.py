"""A SQLAlchemy 1.4 dialect: PostgreSQL's SQL, whose tables are Ducat's views.

A view's dimensions are its columns; its measures are no columns, so that nobody can sum or average
them by hand. They reach Superset as metrics, through the engine spec.
"""

from sqlalchemy import types
from sqlalchemy.dialects.postgresql.base import PGDialect

from ducat_superset import dbapi as ducat_dbapi

DEFAULT_PORTS = {"http": 80, "https": 443}

COLUMN_TYPES = {
    "string": types.VARCHAR,
    "number": types.DOUBLE_PRECISION if hasattr(types, "DOUBLE_PRECISION") else types.FLOAT,
    "integer": types.BIGINT,
    "decimal": types.NUMERIC,
    "boolean": types.BOOLEAN,
    "timestamp": types.TIMESTAMP,
    "time": types.TIMESTAMP,
    "date": types.DATE,
}


class DucatDialect(PGDialect):
    """Talks to a Ducat server over HTTP."""

    name = "ducat"
    driver = "http"
    default_schema_name = "public"
    supports_statement_cache = True
    supports_sane_rowcount = False
    _backslash_escapes = False

    @classmethod
    def dbapi(cls):
        """Return the DB-API module."""
        return ducat_dbapi

    @classmethod
    def import_dbapi(cls):
        """Return the DB-API module, under the name that SQLAlchemy 2 asks for."""
        return ducat_dbapi

    def create_connect_args(self, url):
        """Return the arguments of `dbapi.connect` for an address."""
        scheme = "https" if url.drivername.endswith("+https") else "http"
        return (), {
            "host": url.host,
            "port": url.port or DEFAULT_PORTS[scheme],
            "scheme": scheme,
            "token": (url.password and str(url.password)) or "",
            "user": url.username or "",
            "path": f"/{url.database}" if url.database else "",
        }

    def initialize(self, connection):
        """Ask the server nothing."""
        self.server_version_info = (15, 0)
        self.default_schema_name = "public"
        self.default_isolation_level = None
        self.standard_conforming_strings = True

    def on_connect(self):
        """There is nothing to set on a new connection."""
        return

    def do_ping(self, dbapi_connection):
        """Whether the server answers and accepts the token."""
        dbapi_connection.request("GET", "/ducat/v1/sql/meta")
        return True

    def get_isolation_level(self, dbapi_connection):
        """Every statement reads one snapshot."""
        return "SERIALIZABLE"

    def _get_server_version_info(self, connection):
        return (15, 0)

    def _get_default_schema_name(self, connection):
        return "public"

    def read_views(self, connection):
        """Return the views that the caller may see, by name."""
        raw = connection.connection
        found = getattr(raw, "dbapi_connection", None) or getattr(raw, "connection", raw)
        document = found.request("GET", "/ducat/v1/sql/meta")
        return {view["name"]: view for view in document["views"]}

    def get_schema_names(self, connection, **kw):
        """Return the one schema."""
        return ["public"]

    def get_table_names(self, connection, schema=None, **kw):
        """Views are what there is."""
        return []

    def get_view_names(self, connection, schema=None, **kw):
        """Return the names of the views."""
        return sorted(self.read_views(connection))

    def get_materialized_view_names(self, connection, schema=None, **kw):
        """There are none."""
        return []

    def get_view_definition(self, connection, view_name, schema=None, **kw):
        """The definition is YAML on the server."""
        return

    def has_table(self, connection, table_name, schema=None, **kw):
        """Whether there is such a view."""
        return table_name in self.read_views(connection)

    def get_columns(self, connection, table_name, schema=None, **kw):
        """Return the dimensions of a view."""
        return [
            {
                "name": dimension["name"],
                "type": COLUMN_TYPES[dimension["type"]](),
                "nullable": True,
                "default": None,
                "autoincrement": False,
                "comment": dimension.get("description"),
            }
            for dimension in self.read_views(connection)[table_name]["dimensions"]
        ]

    def get_table_comment(self, connection, table_name, schema=None, **kw):
        """Return the description of a view."""
        return {"text": self.read_views(connection)[table_name].get("description")}

    def get_pk_constraint(self, connection, table_name, schema=None, **kw):
        """A view has none."""
        return {"constrained_columns": [], "name": None}

    def get_foreign_keys(self, connection, table_name, schema=None, **kw):
        """A view has none."""
        return []

    def get_indexes(self, connection, table_name, schema=None, **kw):
        """A view has none."""
        return []

    def get_unique_constraints(self, connection, table_name, schema=None, **kw):
        """A view has none."""
        return []

    def get_check_constraints(self, connection, table_name, schema=None, **kw):
        """A view has none."""
        return []
