"""Superset's security manager, with names that nobody can take from another.

Guests of embedded pages carry `guest:` before the name that their token gives. People of an OpenID
Connect provider become users of Superset at their first login; roles and groups follow the
provider at each. While there is a provider, passwords are for the local users alone that the
configuration names (DUCAT_LOCAL_USERS), and the provider can name none of these: nobody stays when
the provider has let them go, and nobody becomes Superset's administrator by choosing a name.
"""

import logging

from flask import current_app, has_request_context, request
from limits import parse
from superset.errors import ErrorLevel, SupersetError, SupersetErrorType
from superset.exceptions import SupersetSecurityException
from superset.security import SupersetSecurityManager
from superset.security.guest_token import GuestUser

from ducat_superset.certify import CERTIFY, CERTIFY_ON
from ducat_superset.identity import GUEST_PREFIX

log = logging.getLogger(__name__)
LONGEST_NAME = 64  # Superset's column


class DucatGuest(GuestUser):
    """Whoever holds a guest token: never one of Superset's own users."""

    def __init__(self, token, roles):
        super().__init__(token, roles)
        self.username = GUEST_PREFIX + str(self.username)


class DucatSecurityManager(SupersetSecurityManager):
    """Guests and people of an identity provider under names of their own."""

    guest_user_cls = DucatGuest

    def create_custom_permissions(self):
        """Add ours: to certify charts and dashboards."""
        super().create_custom_permissions()
        self.add_permission_view_menu(CERTIFY, CERTIFY_ON)

    def _is_admin_only(self, pvm):
        """Keep ours from the roles that Superset itself defines."""
        return pvm.permission.name == CERTIFY or super()._is_admin_only(pvm)

    def raise_for_access(self, *args, **kwargs):
        """Refuse what a person may not see, and guests what their dashboard does not ask."""
        asked = kwargs.get("query_context")
        if asked is not None:
            from ducat_superset.questions import filters_by_sql, is_the_dashboards_own

            if filters_by_sql(asked):
                raise _refuse("Filter by a dimension: SQL in its place would not be applied")
            if self.is_guest_user() and not is_the_dashboards_own(asked):
                raise _refuse("A guest may ask only what the dashboard asks")
        super().raise_for_access(*args, **kwargs)

    def oauth_user_info(self, provider, response=None):
        """Return what the provider signed about a person, in Flask-AppBuilder's words.

        The claims are those of the ID token, whose signature, issuer, audience and nonce Authlib has
        checked. Groups that stand only in the userinfo document are taken from there, if it is the
        same person's.
        """
        names = current_app.config["DUCAT_OIDC_CLAIMS"]
        claims = dict((response or {}).get("userinfo") or {})
        if not claims.get("sub"):
            raise ValueError("the provider sent no ID token")
        if names["groups"] not in claims or names["user"] not in claims:
            more = self.oauth_remotes[provider].userinfo(token=response)
            if more.get("sub") != claims["sub"]:
                raise ValueError("userinfo is about another person than the ID token")
            claims = {**more, **claims}
        groups = claims.get(names["groups"]) or []
        if not isinstance(groups, list) or not all(isinstance(name, str) for name in groups):
            raise ValueError(f"the claim {names['groups']} is no list of names")
        return {
            "username": claims.get(names["user"]),
            "first_name": claims.get("given_name") or "",
            "last_name": claims.get("family_name") or "",
            "email": claims.get("email") or "",
            "role_keys": groups,
            "groups": groups,
        }

    def auth_user_oauth(self, userinfo):
        """Sign a person of the provider in, or nobody."""
        name = userinfo.get("username")
        local = {user.lower() for user in current_app.config["DUCAT_LOCAL_USERS"] or ()}
        if (
            not isinstance(name, str)
            or not 0 < len(name) <= LONGEST_NAME
            or name.startswith(GUEST_PREFIX)
            or name.lower() in local
        ):
            log.warning("the provider's name of a person cannot be used: %r", name)
            return None
        return super().auth_user_oauth(userinfo)

    def auth_user_ldap(self, username, password):
        """Nobody: there is no directory, whatever a request names as its provider."""
        return

    def auth_user_db(self, username, password):
        """Sign a user with a password in; too many wrong ones close the door for a while.

        Superset limits its login page and leaves the login of its API open. Only failures count,
        for each name and address, so that nobody is kept out by another's mistakes.
        """
        local = current_app.config["DUCAT_LOCAL_USERS"]
        if local is not None and username not in local:
            log.info("%r may not sign in with a password", username)
            return None
        allowed = parse(current_app.config["DUCAT_LOGIN_FAILURES"])
        address = request.remote_addr if has_request_context() else ""
        place = ("ducat-login", str(username).lower()[:LONGEST_NAME], address or "")
        failures = self.limiter.limiter
        if not failures.test(allowed, *place):
            log.warning("too many wrong passwords for %r from %s", username, address)
            return None
        user = super().auth_user_db(username, password)
        if user is None:
            failures.hit(allowed, *place)
        return user


def _refuse(words):
    return SupersetSecurityException(
        SupersetError(
            message=words,
            error_type=SupersetErrorType.DASHBOARD_SECURITY_ACCESS_ERROR,
            level=ErrorLevel.WARNING,
        )
    )
