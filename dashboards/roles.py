"""Who may do what in Superset: roles that follow from the published assets.

    Explorer   self-service: charts and dashboards of one's own, on governed data only. All that
               Superset's Gamma may, except to look at SQL, and access to our database.
    Viewer     reads dashboards. Gamma's permissions to read, and access to our datasets.

Neither can open SQL Lab, nor make or edit datasets. Publishing sets both roles to exactly these
permissions: what was added by hand is taken away again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from dashboards.client import SupersetClient
from dashboards.errors import SupersetRefusedError

EXPLORER: Final = "Explorer"
VIEWER: Final = "Viewer"
BASE: Final = "Gamma"

# Gamma in 6.1 may also register users, write themes and take an embedding away: not self-service.
_NOT_FOR_BUSINESS: Final = frozenset(
    {
        ("can_view_query", "Dashboard"),
        ("can_write", "Theme"),
        ("can_delete_embedded", "Dashboard"),
        ("can_export_as_example", "Dashboard"),
        ("can_export_streaming_csv", "SQLLab"),
        ("can_invalidate", "CacheRestApi"),
        ("menu_access", "Action Log"),
        ("menu_access", "Databases"),
        ("menu_access", "Plugins"),
        ("menu_access", "Tasks"),
        ("menu_access", "Themes"),
    }
)
_NOT_THINGS: Final = frozenset({"UserRegistrationsRestAPI", "SavedQuery"})
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
    wanted = {
        EXPLORER: base | {whole},
        VIEWER: {item for item in base if not _changes(item)} | parts,
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
