"""The least that a Starlette application can do: one route that returns the same bytes."""

import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

BODY = Path(sys.argv[2]).read_bytes()


async def answer(request: Request) -> Response:
    """The bytes."""
    return Response(BODY, media_type="application/json")


if __name__ == "__main__":
    application = Starlette(routes=[Route("/", answer)])
    uvicorn.run(application, port=int(sys.argv[1]), access_log=False, log_level="warning")
