"""Flask: a2wsgi turns the ASGI application into one of WSGI, and Werkzeug sends what is below ``/passkeys`` there."""

import json
from typing import Any, cast

from a2wsgi import ASGIMiddleware
from flask import Flask, Response, jsonify, request, session
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import JSONResponse
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import run_simple

from passkeycore import PasskeyError
from passkeycore.server import PasskeyApp
from passkeycore.server.api import SignIn, visitor_binding

from .common import PAGE, PURPOSE, SECRET, Place, place

_COOKIE = "session"


def application(where: Place) -> Any:
    """The host."""
    app = Flask(__name__)
    app.secret_key = SECRET
    passkeys, own = where.passkeys, where.own_passkeys
    cookies = cast("URLSafeTimedSerializer", SecureCookieSessionInterface().get_signing_serializer(app))

    def user_id_of(request: Request) -> str | None:
        try:
            members = cookies.loads(request.cookies.get(_COOKIE, ""))
        except BadSignature:
            return None
        user_id: str | None = members.get("user")
        return user_id

    def start_session(request: Request, done: SignIn) -> JSONResponse:
        answer = JSONResponse({})
        answer.set_cookie(_COOKIE, str(cookies.dumps({"user": done.user_id})), httponly=True, samesite="lax")
        return answer

    mounted: Any = PasskeyApp(passkeys, current_user=user_id_of, on_sign_in=start_session)  # both have types of ASGI

    @app.get("/")
    def page() -> str:  # pyright: ignore[reportUnusedFunction]
        return PAGE

    @app.post("/enter")
    def enter() -> Response:  # pyright: ignore[reportUnusedFunction]
        session["user"] = json.loads(request.data)["name"]
        return jsonify({})

    @app.post("/leave")
    def leave() -> Response:  # pyright: ignore[reportUnusedFunction]
        session.clear()
        return jsonify({})

    @app.get("/who")
    def who() -> Response:  # pyright: ignore[reportUnusedFunction]
        return jsonify({"user": session.get("user")})

    @app.post("/transfer")
    def transfer() -> tuple[Response, int]:  # pyright: ignore[reportUnusedFunction]
        try:
            binding = visitor_binding(passkeys, request.cookies)
            proof = json.loads(request.data)["proof"]
            own.validate_step_up(proof, user_id=session.get("user", ""), purpose=PURPOSE, binding=binding)
        except PasskeyError as error:
            return jsonify({"code": error.code}), error.http_status
        return jsonify({"transferred": 42}), 200

    return DispatcherMiddleware(app, {"/passkeys": cast("Any", ASGIMiddleware(mounted))})


if __name__ == "__main__":
    where = place()
    run_simple("127.0.0.1", where.port, application(where), threaded=True)
