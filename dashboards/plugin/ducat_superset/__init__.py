"""Apache Superset reads Ducat's governed metrics.

Superset finds three things here by their entry points: a SQLAlchemy dialect (`dialect`), the DB-API
module under it (`dbapi`), and an engine spec (`spec`) that fills every dataset with the metrics of
its view. Nothing but the standard library is needed besides what Superset brings.

    ducat+http://<end user>:<token>@<host>:<port>/

The end user's name comes from Superset's impersonation and travels in the header `X-Ducat-User`;
the server believes it only together with the service token.
"""

__version__ = "0.2.0"
