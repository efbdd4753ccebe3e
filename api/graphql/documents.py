"""GraphQL requests as they arrive, and documents that are known by their hash.

*Automatic* persisted queries are Apollo's: a client sends only the SHA-256 of a document; asked for
it once, it sends the text too, and from then on the hash suffices. They save bytes, and let a GET
be cached. *Registered* documents are a file, `{"hash": "document"}`, as the build tools of Relay and
Apollo write it; with `DUCAT_GRAPHQL_DOCUMENTS_ONLY` nothing else is answered.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from api.errors import UnknownDocumentError, UnregisteredDocumentError
from api.exact_json import read_json
from semantic.errors import QuerySyntaxError, SettingsError

KEPT: Final = 1000
LONGEST_KEPT: Final = 20_000
HASH: Final = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """A GraphQL request. `digest` is the hash that a client sent in the document's place or beside it."""

    query: str
    variables: dict[str, Any]
    operation: str | None
    digest: str | None = None


def read_body(body: bytes) -> GraphQLRequest:
    """Return the request in a POST's body.

    Raises:
        QuerySyntaxError: the body is not a GraphQL request.
    """
    try:
        raw = read_json(body)
    except ValueError as malformed:
        raise QuerySyntaxError(f"the body is not JSON: {malformed}") from malformed
    return read_document(raw)


def read_parameters(query_string: bytes) -> GraphQLRequest:
    """Return the request in the parameters of a GET: `query`, `variables`, `operationName`, `extensions`.

    Raises:
        QuerySyntaxError: they are no GraphQL request.
    """
    try:
        raw: dict[str, Any] = dict(
            parse_qsl(query_string.decode(), keep_blank_values=True, errors="strict")
        )
        for name in ("variables", "extensions"):
            raw[name] = read_json(raw[name]) if raw.get(name) else None
    except ValueError as malformed:
        raise QuerySyntaxError(f"the parameters cannot be read: {malformed}") from malformed
    return read_document(raw)


def read_document(raw: object) -> GraphQLRequest:
    """Return the request that decoded JSON is.

    Raises:
        QuerySyntaxError: it is none.
    """
    if not isinstance(raw, dict):
        raise _no_request()
    query, digest = raw.get("query"), _read_digest(raw)
    if query is None and digest is not None:
        query = ""
    if not isinstance(query, str) or not (query or digest):
        raise _no_request()
    variables = {} if raw.get("variables") is None else raw["variables"]
    operation = raw.get("operationName") or None
    if not isinstance(variables, dict) or not isinstance(operation, str | None):
        raise QuerySyntaxError('"variables" is an object, and "operationName" a text')
    return GraphQLRequest(query, variables, operation, digest)


def _no_request() -> QuerySyntaxError:
    return QuerySyntaxError(
        'a GraphQL request is a JSON object with a text "query"',
        suggestion='send {"query": "{ cube { ... } }"}',
    )


def _read_digest(raw: Mapping[str, Any]) -> str | None:
    """Return the hash in `extensions.persistedQuery` (Apollo) or `documentId` (GraphQL over HTTP)."""
    extensions = raw.get("extensions")
    named = raw.get("documentId")
    if not isinstance(extensions, dict | None):
        raise QuerySyntaxError('"extensions" is an object')
    if named is None and extensions is not None:
        persisted = extensions.get("persistedQuery")
        if persisted is not None:
            if not isinstance(persisted, dict) or persisted.get("version") != 1:
                raise QuerySyntaxError("persisted queries have version 1")
            named = persisted.get("sha256Hash")
    if named is None:
        return None
    found = HASH.fullmatch(named) if isinstance(named, str) else None
    if found is None:
        raise QuerySyntaxError("a document's hash has 64 hexadecimal digits (SHA-256)")
    return found[1]


class Documents:
    """The documents that are known by their hash."""

    def __init__(self, registered: Mapping[str, str], *, only_registered: bool) -> None:
        self._registered = registered
        self._only_registered = only_registered
        self._seen: OrderedDict[str, str] = OrderedDict()

    def complete(self, request: GraphQLRequest) -> GraphQLRequest:
        """Return the request with its document.

        Raises:
            QuerySyntaxError: the text is not that of the hash.
            UnknownDocumentError: there is no text, and the hash is not known.
            UnregisteredDocumentError: the document is not registered and only those are answered.
        """
        digest = request.digest
        if request.query and digest != (found := _hash(request.query)):
            if digest is not None:
                raise QuerySyntaxError(
                    "provided sha does not match query",
                    suggestion="send the SHA-256 of the document's UTF-8 text in hexadecimal digits",
                )
            digest = found if self._only_registered else None
        if digest is not None and digest in self._registered:
            return replace(request, query=self._registered[digest])
        if self._only_registered:
            raise UnregisteredDocumentError(
                "only registered documents are answered here",
                suggestion="add the document to the file of DUCAT_GRAPHQL_DOCUMENTS",
            )
        if digest is None:
            return request
        if not request.query:
            if digest not in self._seen:
                raise UnknownDocumentError(
                    "PersistedQueryNotFound", suggestion="send the document with its hash once"
                )
            self._seen.move_to_end(digest)
            return replace(request, query=self._seen[digest])
        if len(request.query) <= LONGEST_KEPT:
            self._seen[digest] = request.query
            while len(self._seen) > KEPT:
                self._seen.popitem(last=False)
        return request


def read_documents(path: Path | None, *, only_registered: bool) -> Documents:
    """Return the documents registered in a JSON file of hashes and texts.

    Raises:
        SettingsError: the file cannot be read, is no such object, or a hash is not its text's.
    """
    if path is None:
        if only_registered:
            raise SettingsError(
                "DUCAT_GRAPHQL_DOCUMENTS_ONLY is set, and DUCAT_GRAPHQL_DOCUMENTS names no file"
            )
        return Documents({}, only_registered=False)
    try:
        raw = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as unreadable:
        raise SettingsError(f"DUCAT_GRAPHQL_DOCUMENTS: {unreadable}") from unreadable
    if not isinstance(raw, dict) or not all(isinstance(text, str) for text in raw.values()):
        raise SettingsError('DUCAT_GRAPHQL_DOCUMENTS: not an object {"sha256": "document"}')
    for digest, text in raw.items():
        match = HASH.fullmatch(digest)
        if match is None or match[1] != _hash(text):
            raise SettingsError(
                f"DUCAT_GRAPHQL_DOCUMENTS: {digest[:80]} is not the SHA-256 of its document",
                suggestion="register documents by the SHA-256 of their exact text",
            )
    registered = {
        match[1]: text for digest, text in raw.items() if (match := HASH.fullmatch(digest))
    }
    return Documents(registered, only_registered=only_registered)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
