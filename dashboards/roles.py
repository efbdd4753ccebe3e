"""Who may do what in Superset: roles that follow from the published assets.

    Viewer     reads dashboards, and takes their numbers along as CSV.
    Explorer   self-service: charts and dashboards of one's own, on governed data only.
    Steward    what an Explorer may, and certifies charts and dashboards, says which may be embedded
               where, exports assets for git, writes annotations, sees SQL, drops cached answers.
    Embedded   what holders of a guest token may: the dashboards of their token, and nothing else.
    Embedder   the service account of a page that embeds: asks for guest tokens, reads no data.

The first three begin as Superset's Gamma, less what is no self-service. None can open SQL Lab, make
or edit datasets, connect databases, upload or import. A Steward cannot either: a dataset's texts and
metrics are the model's, each publish writes them anew, and a change of them belongs where it is
reviewed. Superset's own Admin does the rest. Publishing sets all five to exactly these permissions:
what was added by hand is taken away again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from dashboards.client import SupersetClient
from dashboards.errors import SupersetRefusedError

EXPLORER: Final = "Explorer"
VIEWER: Final = "Viewer"
STEWARD: Final = "Steward"
EMBEDDED: Final = "Embedded"
EMBEDDER: Final = "Embedder"
BASE: Final = "Gamma"

# What Gamma of 6.1 has beyond self-service: addresses that list, describe or carry away what is
# behind a dashboard, other people's registrations, themes and tags that all would see.
_NOT_FOR_BUSINESS: Final = frozenset(
    {
        ("can_view_query", "Dashboard"),
        ("can_write", "Theme"),
        ("can_export", "Theme"),
        ("can_export", "Chart"),
        ("can_export", "Dashboard"),
        ("can_get_embedded", "Dashboard"),
        ("can_delete_embedded", "Dashboard"),
        ("can_export_as_example", "Dashboard"),
        ("can_export_streaming_csv", "SQLLab"),
        ("can_invalidate", "CacheRestApi"),
        ("can_query", "Api"),
        ("can_query_form_data", "Api"),
        ("can_read", "Database"),
        ("can_read", "RowLevelSecurity"),
        ("can_file_handler", "Superset"),
        ("can_fetch_datasource_metadata", "Superset"),
        ("can_external_metadata", "Datasource"),
        ("can_external_metadata_by_name", "Datasource"),
        ("can_write", "Tag"),
        ("can_bulk_create", "Tag"),
        ("menu_access", "Action Log"),
        ("menu_access", "Data"),
        ("menu_access", "Databases"),
        ("menu_access", "Plugins"),
        ("menu_access", "Tags"),
        ("menu_access", "Tasks"),
        ("menu_access", "Themes"),
    }
)
_NOT_THINGS: Final = frozenset(
    {"DynamicPlugin", "OpenApi", "SavedQuery", "SwaggerView", "Task", "UserRegistrationsRestAPI"}
)
# Not Gamma's, and part of making a chart: the values that a filter offers.
_FOR_EXPLORERS: Final = (("can_get_column_values", "Datasource"),)
_FOR_STEWARDS: Final = (
    ("can_certify", "Ducat"),
    ("can_export", "Chart"),
    ("can_export", "Dashboard"),
    ("can_get_embedded", "Dashboard"),
    ("can_set_embedded", "Dashboard"),
    ("can_delete_embedded", "Dashboard"),
    ("can_view_query", "Dashboard"),
    ("can_invalidate", "CacheRestApi"),
    ("can_read", "Annotation"),
    ("can_write", "Annotation"),
    ("menu_access", "Annotation Layers"),
    ("menu_access", "Manage"),
)
# No `can_explore_json`: that door of older charts (maps) cannot tell a changed question from a chart's.
_FOR_GUESTS: Final = (
    ("can_read", "Chart"),
    ("can_read", "Dashboard"),
    ("can_read", "EmbeddedDashboard"),
    ("can_read", "CurrentUserRestApi"),
    ("can_read", "CssTemplate"),
    ("can_read", "Theme"),
    ("can_read", "SecurityRestApi"),
    ("can_dashboard", "Superset"),
    ("can_language_pack", "Superset"),
    ("can_log", "Superset"),
    ("can_time_range", "Api"),
    ("can_read", "DashboardFilterStateRestApi"),
    ("can_write", "DashboardFilterStateRestApi"),
)
_FOR_EMBEDDERS: Final = (
    ("can_grant_guest_token", "SecurityRestApi"),
    ("can_read", "SecurityRestApi"),
)
_CHANGES: Final = (
    "can_write",
    "can_add",
    "can_edit",
    "can_delete",
    "can_save",
    "can_import",
    "can_bulk",
    "can_tag",
    "can_put",
    "can_explore",
)
# What a person does in the interface is not a change of content: filters, links, own profile.
_HARMLESS: Final = frozenset(
    {
        "DashboardFilterStateRestApi",
        "DashboardPermalinkRestApi",
        "ExploreFormDataRestApi",
        "ExplorePermalinkRestApi",
        "CurrentUserRestApi",
        "UserInfoEditView",
        "ResetMyPasswordView",
    }
)


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission on a thing, as Superset numbers it."""

    id: int
    action: str
    thing: str


def provision_roles(
    client: SupersetClient, *, database: tuple[str, int], datasets: Iterable[int]
) -> tuple[str, ...]:
    """Create or correct the roles; return the names of those that changed.

    `database` is the name and id of our database, `datasets` the ids of our datasets.
    """
    known = {item.id: item for item in _permissions(client)}
    roles = {str(role["name"]): int(role["id"]) for role in client.rows("/api/v1/security/roles/")}
    if BASE not in roles:
        raise SupersetRefusedError(
            f"Superset has no role {BASE}", suggestion="run `superset init` there"
        )
    base = {known[number] for number in _granted(client, roles[BASE]) if number in known}
    base = {item for item in base if _is_for_business(item)}
    name, number = database
    whole = _find(known.values(), "database_access", f"[{name}].(id:{number})")
    ids = set(datasets)
    parts = {
        item
        for item in known.values()
        if item.action == "datasource_access"
        and any(item.thing.endswith(f"(id:{dataset})") for dataset in ids)
        and item.thing.startswith(f"[{name}].")
    }
    explorer = base | {whole} | _find_all(known.values(), _FOR_EXPLORERS)
    wanted = {
        EXPLORER: explorer,
        VIEWER: {item for item in base if not _changes(item)} | parts,
        STEWARD: explorer | _find_all(known.values(), _FOR_STEWARDS),
        EMBEDDED: _find_all(known.values(), _FOR_GUESTS),
        EMBEDDER: _find_all(known.values(), _FOR_EMBEDDERS),
    }
    changed = []
    for role, permissions in wanted.items():
        if role not in roles:
            roles[role] = int(client.post("/api/v1/security/roles/", {"name": role})["id"])
        numbers = sorted(item.id for item in permissions)
        if sorted(_granted(client, roles[role])) != numbers:
            client.post(
                f"/api/v1/security/roles/{roles[role]}/permissions",
                {"permission_view_menu_ids": numbers},
            )
            changed.append(role)
    return tuple(changed)


def provision_user(
    client: SupersetClient, *, username: str, password: str, roles: tuple[str, ...]
) -> int:
    """Create a user of Superset's own with these roles, or return the id of the one that is there."""
    for user in client.rows("/api/v1/security/users/"):
        if user["username"] == username:
            return int(user["id"])
    known = {str(role["name"]): int(role["id"]) for role in client.rows("/api/v1/security/roles/")}
    made = client.post(
        "/api/v1/security/users/",
        {
            "username": username,
            "first_name": username.capitalize(),
            "last_name": "Ducat",
            "email": f"{username}@localhost",
            "password": password,
            "active": True,
            "roles": [known[role] for role in roles],
        },
    )
    return int(made["id"])


def _permissions(client: SupersetClient) -> list[Permission]:
    return [
        Permission(int(row["id"]), _name(row, "permission"), _name(row, "view_menu"))
        for row in client.rows("/api/v1/security/permissions-resources/")
    ]


def _name(row: dict[str, Any], key: str) -> str:
    part = row.get(key)
    return str(part["name"]) if isinstance(part, dict) else ""


def _granted(client: SupersetClient, role: int) -> list[int]:
    answer = client.get(f"/api/v1/security/roles/{role}/permissions/")
    return [int(row["id"]) for row in answer["result"]]


def _find(permissions: Iterable[Permission], action: str, thing: str) -> Permission:
    for item in permissions:
        if (item.action, item.thing) == (action, thing):
            return item
    raise SupersetRefusedError(f"Superset has no permission {action} on {thing}")


def _find_all(
    permissions: Iterable[Permission], wanted: Iterable[tuple[str, str]]
) -> set[Permission]:
    found = tuple(permissions)
    return {_find(found, action, thing) for action, thing in wanted}


def _is_for_business(item: Permission) -> bool:
    return (
        item.thing not in _NOT_THINGS
        and (item.action, item.thing) not in _NOT_FOR_BUSINESS
        and "sqllab" not in item.action
    )


def _changes(item: Permission) -> bool:
    if item.action in {"can_explore_json", "can_tags"}:  # answers of older charts; a listing
        return False
    return item.action.startswith(_CHANGES) and item.thing not in _HARMLESS
