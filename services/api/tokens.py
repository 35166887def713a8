"""Routes of tokens, for admins."""

from fastapi import APIRouter, Response
from pydantic import ValidationError

from actinium.errors import InvalidInput, NotFound
from actinium.explain import explain
from db import audit, tokens
from db.engine import retry_deadlocks
from db.rows import LARGEST_ID
from services.api.access import Caller, Database, Now
from services.api.documents import TokenCreated, TokenDocument, TokenRequest
from services.api.openapi import body_of
from services.api.studies import Json

router = APIRouter(prefix="/v1", tags=["tokens"])


@router.post("/tokens", status_code=201, openapi_extra=body_of(TokenRequest))
@retry_deadlocks
def create(engine: Database, caller: Caller, at: Now, document: Json) -> TokenCreated:
    """Makes a token. Its secret is in the answer, this once; what is stored is its hash."""
    try:
        wanted = TokenRequest.model_validate(document)
    except ValidationError as error:
        raise InvalidInput("the token is not accepted", explain(error, document, TokenRequest)) from error
    with engine.begin() as connection:
        secret = tokens.new_secret()
        made = tokens.ensure(
            connection, secret=secret, name=wanted.name, role=wanted.role, now=at, expires_at=wanted.expiry(at)
        )
        detail = {"name": wanted.name, "role": wanted.role.value}
        audit.record(connection, now=at, who=caller.name, action="create", subject=f"token {made.id}", detail=detail)
        row, namesakes = tokens.get(connection, made.id), tokens.namesakes(connection, made.id, at)
    return TokenCreated(**TokenDocument.model_validate(row).model_dump(), token=secret, namesakes=namesakes)


@router.get("/tokens")
def ls(engine: Database) -> dict[str, list[TokenDocument]]:
    """All tokens, without their secrets."""
    with engine.begin() as connection:
        return {"items": [TokenDocument.model_validate(row) for row in tokens.ls(connection)]}


@router.delete("/tokens/{token_id}", status_code=204)
@retry_deadlocks
def revoke(engine: Database, caller: Caller, at: Now, token_id: str) -> Response:
    """Revokes a token. The last valid admin token cannot be revoked (409): nobody could make another."""
    known = token_id.isascii() and token_id.isdigit() and len(token_id) < 20 and int(token_id) <= LARGEST_ID
    if not known:
        raise NotFound(f"there is no token {token_id[:80]!r}")
    with engine.begin() as connection:
        tokens.revoke(connection, int(token_id), now=at)
        detail = {"name": tokens.get(connection, int(token_id)).name}
        audit.record(connection, now=at, who=caller.name, action="revoke", subject=f"token {token_id}", detail=detail)
    return Response(status_code=204)
