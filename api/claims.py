"""What a token says becomes who asks: a user's name, its groups, and the claims that were signed.

Which claim holds the name and which the groups is a setting, because every identity provider has
its own. A claim is named by its whole name, or by a path of names with dots (`realm_access.roles`);
the whole name is looked for first, since some providers put addresses in names. With a map of groups
(`DUCAT_GROUP_MAP`) the provider's groups are translated and those that the map does not name are
dropped: a group that somebody invents there later opens nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import orjson

from api.errors import AuthenticationError
from semantic.errors import SettingsError
from semantic.query.context import SecurityContext
from semantic.settings import Settings

LONGEST_NAME: Final = 255
MOST_GROUPS: Final = 1000
_EXAMPLE: Final = """write {"their-group": ["analysts"], "other": ["managers", "analysts"]}"""


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """Where claims hold the user and the groups. `groups` None takes them as they are."""

    user_claim: str = "sub"
    groups_claim: str = "groups"
    groups: Mapping[str, tuple[str, ...]] | None = field(default=None)

    @classmethod
    def of(cls, settings: Settings) -> ClaimRules:
        """Return the rules of these settings.

        Raises:
            SettingsError: the map of groups is not a JSON object of lists of names.
        """
        written = settings.group_map
        groups = None if written is None else _read_map(written)
        return cls(settings.jwt_user_claim, settings.jwt_groups_claim, groups)

    def read(self, claims: Mapping[str, Any]) -> SecurityContext:
        """Return who these claims are about; without a user it is `anonymous`, as in Cube.

        Raises:
            AuthenticationError: the user is no name, or the groups are no list of names.
        """
        user = _find(claims, self.user_claim)
        groups = _find(claims, self.groups_claim)
        if user is None:
            user = "anonymous"
        if groups is None:
            groups = []
        is_named = isinstance(user, str) and 0 < len(user) <= LONGEST_NAME
        if not is_named or not isinstance(groups, list) or len(groups) > MOST_GROUPS:
            raise AuthenticationError("Invalid token")
        if not all(isinstance(group, str) for group in groups):
            raise AuthenticationError("Invalid token")
        return SecurityContext(
            user=user, groups=self.translate(groups), claims=MappingProxyType(dict(claims))
        )

    def translate(self, groups: Iterable[str]) -> tuple[str, ...]:
        """Return our names of these groups; those that a map does not name are dropped."""
        if self.groups is None:
            return tuple(groups)
        found = (name for group in groups for name in self.groups.get(group, ()))
        return tuple(dict.fromkeys(found))


def _find(claims: Mapping[str, Any], path: str) -> Any:
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def _read_map(written: str) -> Mapping[str, tuple[str, ...]]:
    try:
        raw = orjson.loads(written)
    except orjson.JSONDecodeError as malformed:
        raise SettingsError(
            f"DUCAT_GROUP_MAP is not JSON: {malformed}", suggestion=_EXAMPLE
        ) from malformed
    if not isinstance(raw, dict):
        raise SettingsError("DUCAT_GROUP_MAP is not a JSON object", suggestion=_EXAMPLE)
    for theirs, ours in raw.items():
        if not isinstance(ours, list) or not all(isinstance(name, str) for name in ours):
            raise SettingsError(
                f"DUCAT_GROUP_MAP: {theirs[:100]!r} is not mapped to a list of names",
                suggestion=_EXAMPLE,
            )
    return MappingProxyType({theirs: tuple(ours) for theirs, ours in raw.items()})
