"""Routes that are matched by the path as it was sent, segment by segment, each decoded after the split.

What belongs here: which segments of a path are which names. A slash that stands encoded in a name never separates, so
that a user whom somebody has called ``ada/authenticators/1`` is a user, and no authenticator of another's. Some SDKs
leave the slashes of a user's id as they are: these are taken as part of it, unless a word of a route follows them.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

_LONGEST: Final = 8_192  # bytes: the longest names, each byte of them encoded, take less
_WORDS: Final = frozenset({"actions", "authenticators"})  # what stands behind a user's id
_SEGMENTS: Final = "passkeycore.authsignal.segments"


class SegmentRoute(Route):
    """A route whose path has segments that are words, ``{name}``, or at most one ``{name:path}``: several segments."""

    def __init__(
        self, path: str, endpoint: Callable[[Request], Awaitable[Response]], *, method: str, name: str
    ) -> None:
        """Serves one method at one path."""
        super().__init__(path, endpoint, methods=[method], name=name)
        self._parts: Final = tuple(path.strip("/").split("/"))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is for this route, and with which names in its path."""
        names = None if scope["type"] != "http" else _names(self._parts, _segments(scope))
        if names is None:
            return Match.NONE, {}
        child: Scope = {"endpoint": self.endpoint, "path_params": {**scope.get("path_params", {}), **names}}
        return (Match.FULL if scope["method"] in (self.methods or ()) else Match.PARTIAL), child


def _names(parts: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    more = len(segments) - len(parts)
    if more < 0 or not all(segments):
        return None
    names: dict[str, str] = {}
    at = 0
    for part in parts:
        taken = segments[at : at + 1]
        if part.endswith(":path}"):
            taken = segments[at : at + 1 + more]
            more = 0
            if not _WORDS.isdisjoint(taken[1:]):
                return None
            names[part[1:-6]] = "/".join(taken)
        elif part.startswith("{"):
            names[part[1:-1]] = taken[0]
        elif taken[0] != part:
            return None
        at += len(taken)
    return names if at == len(segments) else None


def _segments(scope: Scope) -> Sequence[str]:
    """The segments below where the dialect is mounted, decoded; none: there is no telling."""
    if _SEGMENTS not in scope:
        scope[_SEGMENTS] = _split(scope)
    found: Sequence[str] = scope[_SEGMENTS]
    return found


def _split(scope: Scope) -> Sequence[str]:
    path, root = scope["path"], scope.get("root_path", "")
    below = path[len(root) :] if path.startswith(root) else path
    raw: bytes = scope.get("raw_path") or quote(path).encode()
    if len(raw) > _LONGEST:
        return ()
    sent = raw.partition(b"?")[0].decode("latin-1").split("/")[1:]
    # Some servers leave out of the raw path what they, or whoever is around them, have taken for the root.
    for dropped in range(root.count("/"), -1, -1):
        rest = sent[dropped:]
        if unquote("/" + "/".join(rest)) == below:
            break
    else:
        return ()
    try:
        return [unquote(segment, errors="strict") for segment in rest]
    except UnicodeDecodeError:
        return ()
