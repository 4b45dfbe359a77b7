"""``/openapi.json``, ``/docs`` and ``/``: what this server offers, without anything loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute

from coreconfig import __version__
from coreconfig.server.web.operations import Operation
from coreconfig.server.web.responses import json_response

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "h1{margin-bottom:.5rem}h2{margin:2rem 0 .3rem;font-size:1.1rem}"
    "code{font-family:ui-monospace,monospace;font-size:.9em;overflow-wrap:anywhere}"
    "pre{overflow-x:auto;padding:.6rem .8rem;border:1px solid #8884;border-radius:.3rem}"
    "dl{margin:0}dt{padding-top:.4rem;border-top:1px solid #8884}dd{margin:0 0 .4rem 1.5rem}"
    "small{opacity:.75}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'"
_FIRST_STEPS = """export CORECONFIG_URL={url}
coreconfig env list             # which environments there are
coreconfig show ENV/SERVICE     # what a service gets
coreconfig fleet                # who is connected, and what they run
coreconfig --help"""
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
    text = (
        "The whole document, with parameters, bodies and answers: <a href='/openapi.json'>/openapi.json</a>."
    )
    return _page("Operations", f"<p>{text}</p>{''.join(_sections(rows))}")


def _sections(rows: list[tuple[str, str, dict[str, Any]]]) -> Iterator[str]:
    """One heading for each tag, and the operations below it in order of their paths."""
    for tag in sorted({row[2]["tags"][0] for row in rows}, key=lambda tag: (tag == "about", tag)):
        listed = sorted((row for row in rows if row[2]["tags"][0] == tag), key=lambda row: (row[1], row[0]))
        yield f"<h2>{escape(tag.capitalize())}</h2><dl>{''.join(_entry(*row) for row in listed)}</dl>"


def _entry(method: str, path: str, operation: dict[str, Any]) -> str:
    asked = [parameter for parameter in operation["parameters"] if parameter["in"] != "path"]
    names = ", ".join(f"<code>{escape(parameter['name'])}</code>" for parameter in asked)
    return (
        f"<dt><code><b>{escape(method)}</b> {escape(path)}</code></dt>"
        f"<dd>{escape(operation['summary'])}{f'<br><small>{names}</small>' if names else ''}</dd>"
    )


async def _welcome(request: Request) -> Response:
    return _page(
        "CoreConfig",
        f"<p>This is a CoreConfig server, version {escape(__version__)}. It keeps configuration and brings"
        " each change to the running services that it concerns.</p>"
        "<h2>On the command line</h2>"
        f"<pre><code>{escape(_FIRST_STEPS.format(url=str(request.base_url).rstrip('/')))}</code></pre>"
        "<h2>Here</h2>"
        "<dl><dt><a href='/docs'>/docs</a></dt><dd>every operation of the HTTP interface</dd>"
        "<dt><a href='/openapi.json'>/openapi.json</a></dt><dd>the same for programs</dd>"
        "<dt><a href='/readyz'>/readyz</a></dt><dd>does it serve, and which revision</dd>"
        "<dt><a href='/healthz'>/healthz</a></dt><dd>does the process live</dd>"
        "<dt><a href='/metrics'>/metrics</a></dt><dd>figures for Prometheus</dd></dl>",
    )


def _page(title: str, content: str) -> Response:
    head = "<meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
    head += f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    body = f"<body><h1>{escape(title)}</h1>{content}</body>"
    page = f"<!doctype html><html lang='en'><head>{head}</head>{body}</html>"
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})
