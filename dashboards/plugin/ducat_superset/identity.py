"""Who a person is to Ducat, taken from what Superset knows about the signed-in user.

    name      the user's name; `guest:<name>` for whoever holds a guest token, so that no embedding
              page can name a person of Superset and see, or find in a cache, what is theirs
    groups    the user's groups by their names (an identity provider fills them at each login), and
              the user's roles as `superset:<role>`, guests' role included

Nothing here is the user's to choose: names, groups and roles are written by administrators and by
the identity provider. A group whose own name begins as ours do is left out, for it would be a role
that nobody gave.
"""

from flask_appbuilder.security.sqla.models import User

ROLE_PREFIX = "superset:"
GUEST_PREFIX = "guest:"


def identify(user):
    """Return name and groups of a user; no name when nobody is signed in."""
    name = getattr(user, "username", None)
    if not name or getattr(user, "is_anonymous", False):
        return None, ()
    groups = {group.name for group in getattr(user, "groups", ())}
    roles = {role.name for role in _read_roles(user) if role is not None}
    named = {group for group in groups if not group.startswith((ROLE_PREFIX, GUEST_PREFIX))}
    return name, tuple(sorted(named | {ROLE_PREFIX + role for role in roles}))


def _read_roles(user):
    """Return a user's own roles and those of the user's groups."""
    roles = list(user.roles)
    if isinstance(user, User):
        for group in user.groups:
            roles.extend(group.roles)
    return roles
