"""``/openapi.json``, ``/docs`` and ``/``: what this server offers, without anything loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute

from coreconfig import __version__
from coreconfig.server.web.operations import Operation
from coreconfig.server.web.responses import json_response

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code{font-family:ui-monospace,monospace}table{border-collapse:collapse;width:100%}"
    "td{padding:.3rem .6rem .3rem 0;vertical-align:top;border-top:1px solid #ccc}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'"
_HTML: dict[str, Any] = {"type": "string"}


def routes() -> list[BaseRoute]:
    """The pages for people and the document for programs."""
    return [
        Operation(
            "GET",
            "/openapi.json",
            _openapi,
            id="openapi",
            tag="about",
            summary="This interface as OpenAPI 3.1",
            answers={200: {"type": "object"}},
            public=True,
        ),
        Operation(
            "GET",
            "/docs",
            _docs,
            id="docs",
            tag="about",
            summary="Every operation on one page",
            answers={200: _HTML},
            media_type="text/html",
            public=True,
        ),
        Operation(
            "GET",
            "/",
            _welcome,
            id="welcome",
            tag="about",
            summary="What this is",
            answers={200: _HTML},
            media_type="text/html",
            public=True,
        ),
    ]


async def _openapi(request: Request) -> Response:
    return json_response(request.app.openapi())


async def _docs(request: Request) -> Response:
    described = request.app.openapi()
    rows = [
        (method.upper(), path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    listed = "".join(_row(*row) for row in sorted(rows, key=lambda row: (row[2]["tags"], row[1], row[0])))
    text = "The whole document, with parameters and bodies: <a href='/openapi.json'>/openapi.json</a>."
    return _page("Operations", f"<p>{text}</p><table>{listed}</table>")


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    names = ", ".join(escape(parameter["name"]) for parameter in operation["parameters"])
    return (
        f"<tr><td><code>{escape(method)}</code></td><td><code>{escape(path)}</code></td>"
        f"<td>{escape(operation['summary'])}<br><small>{names}</small></td></tr>"
    )


async def _welcome(request: Request) -> Response:
    return _page(
        "CoreConfig",
        f"<p>Configuration that reaches running services. Version {escape(__version__)}.</p>"
        "<ul><li><a href='/docs'>Operations</a></li><li><a href='/healthz'>Is it alive?</a></li>"
        "<li><a href='/readyz'>Is it ready?</a></li><li><a href='/metrics'>Metrics</a></li></ul>"
        "<p>On the command line: <code>coreconfig --help</code></p>",
    )


def _page(title: str, content: str) -> Response:
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style>"
    body = f"<body><h1>{escape(title)}</h1>{content}</body>"
    page = f"<!doctype html><html lang='en'><head>{head}</head>{body}</html>"
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})
