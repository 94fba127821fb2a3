"""Browser sessions of the demonstration: who is signed in where, by a random id in a cookie.

In memory, as the demonstration is one process. An application brings its own; what it must not leave out is here: an id
that nobody can guess, a new one when somebody signs in, and an end.
"""

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

COOKIE: Final = "passkeycore_demo"  # all ports of localhost share their cookies, so that the name has to differ
_ID: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_ID_BYTES: Final = 32
_LIFETIME: Final = timedelta(hours=12)
_MOST: Final = 10_000


class Sessions:
    """Who is signed in, for 12 hours each. Bounded: the oldest session goes first.

    Nothing is kept for a browser in which nobody is signed in. Its id serves to bind ceremonies to it, and is replaced
    when somebody signs in, so that an id which an attacker planted there is worth nothing.

    Args:
        now: The clock, aware.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._users: OrderedDict[bytes, tuple[str, datetime]] = OrderedDict()

    def user_of(self, session_id: str) -> str | None:
        """Who is signed in; None: nobody."""
        user_id, expires_at = self._users.get(_key(session_id), (None, self._now()))
        return user_id if self._now() < expires_at else None

    def begin(self, user_id: str) -> str:
        """The id of a new session of this user."""
        session_id = new_id()
        self._users[_key(session_id)] = user_id, self._now() + _LIFETIME
        if len(self._users) > _MOST:
            self._users.popitem(last=False)
        return session_id

    def end(self, session_id: str) -> None:
        """Signs out."""
        self._users.pop(_key(session_id), None)

    def end_all(self, user_id: str) -> None:
        """Signs this user out everywhere."""
        for key in [key for key, (owner, _) in self._users.items() if owner == user_id]:
            del self._users[key]


class Visit:
    """What one request knows of its browser's session.

    Attributes:
        id: Binds ceremonies to this browser. Secret.
        user_id: Who is signed in; None: nobody.
    """

    def __init__(self, sessions: Sessions, request: Request) -> None:
        self._sessions = sessions
        self._cookie = request.cookies.get(COOKIE, "")
        self.id = self._cookie if _ID.fullmatch(self._cookie) else new_id()
        self.user_id = sessions.user_of(self.id)

    @property
    def owner(self) -> str:
        """Who is signed in.

        Raises:
            HTTPException: Nobody is; 401.
        """
        if self.user_id is None:
            raise HTTPException(401, "Please sign in first.")
        return self.user_id

    def sign_in(self, user_id: str) -> None:
        """Begins a session with an id that nobody can have known before."""
        self._sessions.end(self.id)
        self.id, self.user_id = self._sessions.begin(user_id), user_id

    def sign_out(self) -> None:
        """Ends the session."""
        self._sessions.end(self.id)
        self.id, self.user_id = new_id(), None

    def sign_out_everywhere(self) -> None:
        """Ends all sessions of the user."""
        self._sessions.end_all(self.owner)
        self.sign_out()

    def keep(self, response: Response) -> None:
        """Tells the browser its session id where that has changed."""
        if self.id != self._cookie:
            # Not Secure, as this is http://localhost, where not every browser keeps such a cookie. Elsewhere: Secure.
            age_s = int(_LIFETIME.total_seconds())
            response.set_cookie(COOKIE, self.id, max_age=age_s, httponly=True, samesite="lax")


def new_id() -> str:
    """43 characters of base64url: 32 random bytes."""
    return secrets.token_urlsafe(_ID_BYTES)


def _key(session_id: str) -> bytes:
    return sha256(session_id.encode()).digest()  # so that the time of a look-up says nothing about an id
