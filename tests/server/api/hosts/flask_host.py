"""Flask: a2wsgi turns the ASGI application into one of WSGI, and Werkzeug sends what is below ``/passkeys`` there."""

import json

from flask import Flask, Response, jsonify, request, session
from werkzeug.serving import run_simple

from passkeycore import PasskeyError
from passkeycore.server.api import visitor_binding

from .common import PAGE, PURPOSE, SECRET, begin, mount, own_passkeys


def application() -> Flask:
    """The host."""
    app = Flask(__name__)
    app.secret_key = SECRET

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

    passkeys, own = mount("Flask", app)["passkeys"], own_passkeys()
    return app


if __name__ == "__main__":
    port = begin()
    run_simple("127.0.0.1", port, application(), threaded=True)
