"""What a caller may see beside numbers: the SQL of the model and of queries.

SQL names tables and columns that a metrics layer is there to hide. In development everybody may see
it; in production nobody, unless `DUCAT_SQL_GROUPS` names groups (or `*`, everybody).
"""

from __future__ import annotations

from api.errors import MissingScopeError
from semantic.query.context import SecurityContext
from semantic.settings import Settings

EVERYBODY = "*"


def may_see_sql(settings: Settings, context: SecurityContext) -> bool:
    """Whether this caller may see SQL."""
    named = {name.strip() for name in settings.sql_groups.split(",") if name.strip()}
    if not named:
        return settings.environment == "development"
    return EVERYBODY in named or not named.isdisjoint(context.groups)


def demand_sql(settings: Settings, context: SecurityContext) -> None:
    """Let through whoever may see SQL.

    Raises:
        MissingScopeError: this caller may not; Cube's words.
    """
    if not may_see_sql(settings, context):
        raise MissingScopeError(
            "API scope is missing: sql",
            suggestion="DUCAT_SQL_GROUPS names the groups that may see SQL",
        )
