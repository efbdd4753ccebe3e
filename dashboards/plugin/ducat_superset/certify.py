"""A certification is a promise to all readers: only who may certify can write one.

In Superset whoever owns a chart or a dashboard can put "certified by Finance" on it. `guard` has
SQLAlchemy refuse that for everyone without the permission `can_certify` on `Ducat`, whichever door
the change comes through: page, REST, import. To take a certification away is free, and what is
unchanged is not looked at.

A dashboard without a title is refused, too: Superset saves one, and then fails whenever somebody
exports everything, as `ducat dashboards diff` and `pull` do.
"""

from flask import has_request_context
from sqlalchemy import event, inspect

CERTIFY = "can_certify"
CERTIFY_ON = "Ducat"
GUARDED = ("certified_by", "certification_details")


def guard():
    """Begin to refuse; called once, when Superset's models are there."""
    from superset.models.dashboard import Dashboard
    from superset.models.slice import Slice

    for model in (Dashboard, Slice):
        for moment in ("before_insert", "before_update"):
            event.listen(model, moment, _check)


def _check(_mapper, _connection, target):
    if not has_request_context():
        return  # a command of an administrator
    if getattr(target, "dashboard_title", target) in {None, ""}:
        raise _refuse(target, "dashboard_title", "A dashboard needs a title")
    state = inspect(target)
    written = any(
        getattr(target, name) and state.attrs[name].history.has_changes() for name in GUARDED
    )
    if not written:
        return
    from superset import security_manager

    if not security_manager.can_access(CERTIFY, CERTIFY_ON):
        raise _refuse(target, "certified_by", "Only a Steward certifies charts and dashboards")


def _refuse(target, field, words):
    """Return the error that the door of this kind of thing answers with 422 and these words."""
    from marshmallow import ValidationError
    from superset.commands.chart.exceptions import ChartInvalidError
    from superset.commands.dashboard.exceptions import DashboardInvalidError
    from superset.models.dashboard import Dashboard

    kind = DashboardInvalidError if isinstance(target, Dashboard) else ChartInvalidError
    return kind(exceptions=[ValidationError(words, field_name=field)])
