#!/bin/sh
# Runs once, when the volume is empty: a role and a database for each service that keeps state here.
set -eu
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set prefect_password="$PREFECT_DB_PASSWORD" \
    --set superset_password="$SUPERSET_DB_PASSWORD" <<'SQL'
CREATE ROLE prefect LOGIN PASSWORD :'prefect_password';
CREATE DATABASE prefect OWNER prefect;
CREATE ROLE superset LOGIN PASSWORD :'superset_password';
CREATE DATABASE superset OWNER superset;
REVOKE CONNECT ON DATABASE prefect, superset FROM PUBLIC;
SQL
