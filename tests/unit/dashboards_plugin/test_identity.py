"""Who a person is to Ducat, in Superset's environment, on Superset's own classes."""

from __future__ import annotations

from api.auth import make_token
from tests.unit.api.conftest import SECRET, Server
from tests.unit.dashboards_plugin.conftest import Snippet

USERS = """
from flask_appbuilder.security.sqla.models import Group, Role, User
from ducat_superset.identity import identify
role = lambda name: Role(name=name)
"""


def test_a_person_has_groups_and_roles_and_those_of_the_groups(run_snippet: Snippet) -> None:
    shown = run_snippet(
        USERS
        + """
team = Group(name="finance", roles=[role("Viewer")])
show(identify(User(username="ann", roles=[role("Explorer")], groups=[team])))"""
    )
    assert shown == ["ann", ["finance", "superset:Explorer", "superset:Viewer"]]


def test_no_group_passes_for_a_role_or_a_guest(run_snippet: Snippet) -> None:
    shown = run_snippet(
        USERS
        + """
named = [Group(name=name, roles=[]) for name in ("superset:Admin", "guest:x", "Admin", "zürich")]
show(identify(User(username="ann", roles=[], groups=named)))"""
    )
    assert shown == ["ann", ["Admin", "zürich"]]


def test_nobody_has_no_name(run_snippet: Snippet) -> None:
    shown = run_snippet(
        USERS
        + """
from flask_login import AnonymousUserMixin
show([identify(None), identify(AnonymousUserMixin()), identify(User(username="", roles=[]))])"""
    )
    assert shown == [[None, []]] * 3


def test_groups_travel_with_the_name_and_only_for_the_service(
    run_snippet: Snippet, plugin_server: Server
) -> None:
    snippet = """
from ducat_superset import dbapi
host, port = ADDRESS.split(":")
cursor = dbapi.connect(host=host, port=int(port), token=TOKEN, user="ann", groups=("zürich", 'a"b')).cursor()
try:
    show(cursor.execute("SELECT MEASURE(count) AS n FROM shop_sales").fetchall())
except dbapi.DatabaseError as refused:
    show(str(refused))
"""
    ((expected,),) = plugin_server.site.ask("SELECT count(*) FROM gold.fct_sale")
    assert run_snippet(snippet) == [[expected]]
    other = run_snippet(snippet, token=make_token(SECRET, user="mallory"))
    assert "may not speak for another user" in other
