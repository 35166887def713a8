"""`/docs`: every route in a page of our own, without scripts and without anything from elsewhere."""

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse

from services.api.openapi import operations

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1d2433; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #d5dae3; } code { background: #f1f3f7; padding: 0 .25em; }
details { margin: .4rem 0; } summary { cursor: pointer; } summary b { display: inline-block; min-width: 4.2rem; }
table { border-collapse: collapse; margin: .5rem 0 1rem 1rem; }
td { padding: .1rem .8rem .1rem 0; vertical-align: top; }
"""

router = APIRouter()


@router.get("/docs", include_in_schema=False)
@router.head("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The routes with their parameters and answers, from the OpenAPI document."""
    app: FastAPI = request.app
    if not hasattr(app.state, "docs_page"):
        app.state.docs_page = page(app.openapi())
    return HTMLResponse(app.state.docs_page, headers={"Content-Security-Policy": POLICY})


def page(document: dict[str, Any]) -> str:
    """The whole page."""
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(document['info']['title'])} API</title>"
        f"<style>{STYLE}</style><h1>{escape(document['info']['title'])} API</h1>"
        "<p>Every <code>/v1</code> route needs <code>Authorization: Bearer TOKEN</code>. The same for programs, with"
        ' the shape of every body and answer: <a href="openapi.json">openapi.json</a>.</p>'
        + "".join(_sections(document))
    )


def _sections(document: dict[str, Any]) -> Iterator[str]:
    """A section a tag, in the order in which tags come."""
    by_tag: dict[str, list[str]] = {}
    for method, path, operation in operations(document):
        by_tag.setdefault((operation.get("tags") or ["other"])[0], []).append(_operation(method, path, operation))
    for tag, entries in by_tag.items():
        yield f"<h2>{escape(tag)}</h2>{''.join(entries)}"


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    about = operation.get("description") or operation.get("summary") or ""
    rows = [
        f"<tr><td><code>{escape(given['name'])}</code><td>{escape(given['in'])}<td>{escape(_sentence(given))}"
        for given in operation.get("parameters", [])
    ]
    if "requestBody" in operation:
        rows.append(f"<tr><td>body<td>{escape(', '.join(operation['requestBody']['content']))}<td>")
    rows += [
        f"<tr><td>{escape(status)}<td colspan=2>{escape(answer.get('description', ''))}"
        for status, answer in operation["responses"].items()
    ]
    return (
        f"<details><summary><b>{method}</b> <code>{escape(path)}</code></summary>"
        f"<p>{escape(about)}</p><table>{''.join(rows)}</table></details>"
    )


def _sentence(parameter: dict[str, Any]) -> str:
    needed = "needed. " if parameter.get("required") and parameter["in"] != "path" else ""
    return f"{needed}{parameter.get('description') or parameter.get('schema', {}).get('description', '')}"
