"""FastAPI: mounted as any application, and the session of Starlette's middleware is shared."""

from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request

from passkeycore import PasskeyError
from passkeycore.server.api import visitor_binding

from .common import PAGE, PURPOSE, SECRET, begin, mount


def application() -> FastAPI:
    """The host."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=SECRET)

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
        return {"user": request.session.get("user")}

    @app.post("/transfer")
    async def transfer(request: Request, proof: Annotated[str, Body(embed=True)]) -> Any:  # pyright: ignore
        binding, user_id = visitor_binding(passkeys, request.cookies), request.session.get("user", "")
        try:
            await passkeys.validate_step_up(proof, user_id=user_id, purpose=PURPOSE, binding=binding)
        except PasskeyError as error:
            return JSONResponse({"code": error.code}, error.http_status)
        return {"transferred": 42}

    passkeys = mount("FastAPI", app)["passkeys"]
    return app


if __name__ == "__main__":
    port = begin()
    uvicorn.run(application(), port=port, log_level="warning")
