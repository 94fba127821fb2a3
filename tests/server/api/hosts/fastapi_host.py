"""FastAPI: mounted as any application, and the session of Starlette's middleware is shared."""

from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request

from passkeycore import PasskeyError
from passkeycore.server import PasskeyApp
from passkeycore.server.api import SignIn, visitor_binding

from .common import PAGE, PURPOSE, SECRET, Place, place


def application(where: Place) -> FastAPI:
    """The host."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    passkeys = where.passkeys

    def user_id_of(request: Request) -> str | None:
        user_id: str | None = request.session.get("user")
        return user_id

    def start_session(request: Request, done: SignIn) -> None:
        request.session["user"] = done.user_id

    app.mount("/passkeys", PasskeyApp(passkeys, current_user=user_id_of, on_sign_in=start_session))

    @app.get("/")
    async def page() -> HTMLResponse:  # pyright: ignore[reportUnusedFunction]
        return HTMLResponse(PAGE)

    @app.post("/enter")
    async def enter(request: Request, name: Annotated[str, Body(embed=True)]) -> dict[str, str]:  # pyright: ignore
        request.session["user"] = name
        return {}

    @app.post("/leave")
    async def leave(request: Request) -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        request.session.clear()
        return {}

    @app.get("/who")
    async def who(request: Request) -> dict[str, str | None]:  # pyright: ignore[reportUnusedFunction]
        return {"user": user_id_of(request)}

    @app.post("/transfer")
    async def transfer(request: Request, proof: Annotated[str, Body(embed=True)]) -> Any:  # pyright: ignore
        binding = visitor_binding(passkeys, request.cookies)
        try:
            await passkeys.validate_step_up(proof, user_id=user_id_of(request) or "", purpose=PURPOSE, binding=binding)
        except PasskeyError as error:
            return JSONResponse({"code": error.code}, error.http_status)
        return {"transferred": 42}

    return app


if __name__ == "__main__":
    where = place()
    uvicorn.run(application(where), port=where.port, log_level="warning")
