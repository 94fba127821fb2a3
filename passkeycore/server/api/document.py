"""The OpenAPI document of this API, made from the table of routes: whatever is served is in it, and nothing else."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from .calls import CALLERS, Caller, Row
from .refusals import Error
from .rows import ROWS
from .visitors import COOKIE, CSRF_HEADER

VERSION: Final = "1.0.0"
"""Of the API: the second number grows with what is added, the first with what goes."""

_REFS: Final = "#/components/schemas/{name}"
_ABOUT: Final = (
    "Passkeys, trusted devices and step-up actions. Bodies are JSON objects in UTF-8; members that are not described "
    "here are refused. Every error is an object `error` with a `code` for programs and a `message` for people."
)
_SCHEMES: Final[Mapping[str, Mapping[str, str]]] = {
    "visitor": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Given by `GET /session`."},
    "csrf": {"type": "apiKey", "in": "header", "name": CSRF_HEADER, "description": "Given by `GET /session`."},
    "session": {"type": "apiKey", "in": "cookie", "name": "session", "description": "The application's own."},
    "token": {"type": "http", "scheme": "bearer", "description": "The token of an action."},
    "server": {"type": "http", "scheme": "bearer", "description": "An API key of the application's servers."},
}
_SECURITY: Final[Mapping[Caller, tuple[str, ...]]] = {
    "anyone": (),
    "visitor": ("visitor", "csrf"),
    "user": ("visitor", "csrf", "session"),
    "token": ("token",),
    "device": (),
    "server": ("server",),
}
# What is shown to be let in, such as an API key, is a scheme above: the format has no parameters for it.
_PAGES: Final[frozenset[Caller]] = frozenset({"visitor", "user"})
_ORIGIN: Final[Mapping[str, Any]] = {
    "name": "Origin",
    "in": "header",
    "description": "Of the page, as browsers send it by themselves: one of the tenant's own.",
    "schema": {"type": "string", "format": "uri"},
}
_VISITOR: Final[Mapping[str, Any]] = {
    "name": COOKIE,
    "in": "cookie",
    "required": False,
    "description": "Of the browser, once it was given one.",
    "schema": {"type": "string"},
}
_TAGS: Final[Mapping[Caller, str]] = {
    "anyone": "Whoever asks.",
    "visitor": "Pages of the application, in a browser in which nobody need be signed in.",
    "user": "Pages of the application, for whoever is signed in with it.",
    "token": "Clients that have the token of an action.",
    "device": "Apps, whose device has signed what is in the body.",
    "server": "Servers of the application.",
}


def openapi_document(rows: Iterable[Row] = ROWS) -> dict[str, Any]:
    """The document, OpenAPI 3.1, JSON-ready.

    Args:
        rows: The routes that are served. All of them by default; an application that is mounted has fewer.
    """
    rows = tuple(rows)
    shapes = {row.answer for row in rows} | {row.asked for row in rows if row.asked is not None} | {Error}
    ordered = sorted(shapes, key=lambda shape: shape.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REFS)
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row)
    used: set[Caller] = {row.caller for row in rows}
    return {
        "openapi": "3.1.0",
        "info": {"title": "passkeycore", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": "."}],  # where the document is
        "tags": [{"name": caller, "description": _TAGS[caller]} for caller in CALLERS if caller in used],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {name: dict(_SCHEMES[name]) for name in _SCHEMES if _is_used(name, used)},
            "responses": {
                "Error": {"description": "It is not done.", "content": _json(Error)},
            },
        },
    }


def _operation(row: Row) -> dict[str, Any]:
    scopes = _SECURITY[row.caller] if row.method != "GET" else tuple(set(_SECURITY[row.caller]) & {"session"})
    operation: dict[str, Any] = {
        "operationId": row.name,
        "summary": (inspect.getdoc(row.handler) or "").partition("\n")[0],
        "tags": [row.caller],
        "security": [{name: [] for name in scopes}],
        "responses": {
            "200": {"description": (inspect.getdoc(row.answer) or "").partition("\n")[0], "content": _json(row.answer)},
            "default": {"$ref": "#/components/responses/Error"},
        },
    }
    parameters: list[dict[str, Any]] = [{**_ORIGIN, "required": row.method != "GET"}] if row.caller in _PAGES else []
    if row.caller in _PAGES and row.method == "GET":
        parameters.append(dict(_VISITOR))
    if parameters:
        operation["parameters"] = parameters
    if row.scope is not None:
        operation["description"] = f"The token has to have the scope `{row.scope}`, and its action to be met."
    if row.asked is not None:
        operation["requestBody"] = {"required": True, "content": _json(row.asked)}
    return operation


def _json(shape: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REFS.format(name=shape.__name__)}}}


def _is_used(scheme: str, callers: Iterable[Caller]) -> bool:
    return any(scheme in _SECURITY[caller] for caller in callers)
