"""What Superset has to know of Ducat: which SQL it may send, and where metrics come from."""

import json

from flask import g, has_request_context
from sqlalchemy.engine.reflection import Inspector
from superset.constants import TimeGrain
from superset.db_engine_specs.base import BaseEngineSpec
from superset.db_engine_specs.postgres import PostgresEngineSpec
from superset.exceptions import SupersetException

from ducat_superset.identity import identify


class DucatEngineSpec(BaseEngineSpec):
    """The engine spec of Ducat."""

    engine = "ducat"
    engine_name = "Ducat"
    drivers = {"http": "HTTP", "https": "HTTPS"}
    default_driver = "http"
    sqlalchemy_uri_placeholder = "ducat+http://user:token@host:4000/"

    # Without joins a top-N chart asks twice, both times in governed metrics.
    allows_joins = False
    # Row counts are asked as SELECT COUNT(*) FROM (…).
    allows_subqueries = True
    allows_alias_in_select = True
    allows_alias_in_orderby = True
    allows_sql_comments = False
    supports_dynamic_schema = False
    supports_file_upload = False

    # Only what the server cuts times to: a grain that is refused should not be on offer.
    _time_grain_expressions = {
        None: "{col}",
        TimeGrain.SECOND: "DATE_TRUNC('second', {col})",
        TimeGrain.MINUTE: "DATE_TRUNC('minute', {col})",
        TimeGrain.HOUR: "DATE_TRUNC('hour', {col})",
        TimeGrain.DAY: "DATE_TRUNC('day', {col})",
        TimeGrain.WEEK: "DATE_TRUNC('week', {col})",
        TimeGrain.MONTH: "DATE_TRUNC('month', {col})",
        TimeGrain.QUARTER: "DATE_TRUNC('quarter', {col})",
        TimeGrain.YEAR: "DATE_TRUNC('year', {col})",
    }

    @classmethod
    def impersonate_user(cls, database, username, user_token, url, engine_kwargs):
        """Ask as the person who is signed in, with that person's groups, and as nobody else."""
        name, groups = identify(getattr(g, "user", None))
        if name is None and has_request_context():
            raise SupersetException("Sign in: Ducat answers people by their names")
        # Without a request (a command of an administrator) the service asks for itself.
        engine_kwargs.setdefault("connect_args", {})["groups"] = groups
        return (url if name is None else url.set(username=name)), engine_kwargs

    @classmethod
    def get_impersonation_key(cls, user):
        """Return what keeps one person's kept answers from all others: name and groups.

        Access policies decide by groups, so answers from before a change of groups end with it.
        """
        name, groups = identify(user)
        return json.dumps([name, sorted(groups)])

    @classmethod
    def convert_dttm(cls, target_type, dttm, db_extra=None):
        """Return a time as SQL."""
        return PostgresEngineSpec.convert_dttm(target_type, dttm, db_extra)

    @classmethod
    def epoch_to_dttm(cls):
        """Return how seconds become a time."""
        return PostgresEngineSpec.epoch_to_dttm()

    @classmethod
    def get_metrics(cls, database, inspector: Inspector, table):
        """Return the governed measures of a view as a dataset's metrics."""
        with database.get_inspector() as found, found.bind.connect() as connection:
            view = found.dialect.read_views(connection)[table.table]
        return [
            {
                "metric_name": measure["name"],
                "verbose_name": measure["title"],
                "description": measure.get("description"),
                "d3format": measure.get("format"),
                "metric_type": None,
                "expression": f"MEASURE({measure['name']})",
            }
            for measure in view["measures"]
        ]
