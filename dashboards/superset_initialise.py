"""Make Superset's metadata ready, inside Superset's environment: tables, roles, the first admin.

Run as a file by Superset's Python (`superset_process.prepare` does). The `superset` commands do the
same in three processes of ten seconds of imports each. The admin's name and password come from
SUPERSET_ADMIN_USER and SUPERSET_ADMIN_PASSWORD, so that no process list shows them. An admin that
is there already keeps its row and gets this password.
"""

# ruff: noqa: PLC0415 - Superset must see its settings before it is imported
# mypy: ignore-errors

import os


def main() -> None:
    """Upgrade the tables, make the admin, write roles and permissions."""
    from superset.app import create_app

    application = create_app()
    with application.app_context():
        from flask_migrate import upgrade
        from superset import appbuilder, db, security_manager

        upgrade()
        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        name = os.environ["SUPERSET_ADMIN_USER"]
        password = os.environ["SUPERSET_ADMIN_PASSWORD"]
        admin = security_manager.find_user(username=name)
        if admin is None:
            admin = security_manager.add_user(
                username=name,
                first_name="Ducat",
                last_name="Administrator",
                email=f"{name}@localhost",
                role=security_manager.find_role("Admin"),
                password=password,
            )
            if not admin:
                raise SystemExit(f"Superset could not create the user {name}")
        else:
            security_manager.reset_password(admin.id, password)
        db.session.commit()


if __name__ == "__main__":
    main()
