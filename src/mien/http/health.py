"""Is the service alive, and can it work?"""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from mien.database.migrations import is_current
from mien.errors import SetupError, Unavailable
from mien.http.dependencies import Shared
from mien.http.errors import error_answers

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    status: Literal["ready"] = "ready"


@router.get("/healthz", summary="Is it alive?")
async def health() -> Health:
    """Answers while the process does."""
    return Health()


@router.get("/readyz", summary="Can it work?", responses=error_answers(503))
async def readiness(shared: Shared) -> Readiness:
    """Whether the database can be reached and has the tables that this version needs."""
    try:
        async with shared.engine.connect() as connection:
            current = await connection.run_sync(is_current)
    except SQLAlchemyError:
        raise Unavailable(
            "The database can't be reached. Check that it runs, and MIEN_DATABASE_URL."
        ) from None
    except SetupError as error:
        raise Unavailable(error.message) from None
    if not current:
        raise Unavailable("The database's tables are out of date. Start `mien serve` once: it updates them.")
    return Readiness()
