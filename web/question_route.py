"""Operations that take one model as their query string: described by FastAPI, read by us.

FastAPI's own reading and checking, which fits every kind of parameter, takes longer than most answers do.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, TypeVar, get_origin, get_type_hints
from urllib.parse import parse_qs

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

_Asked = TypeVar("_Asked", bound=BaseModel)


class QuestionRoute(APIRoute):
    """A route of ``async def operation(asked: Annotated[Model, Query()]) -> Response``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        operation = self.endpoint
        model: type[BaseModel] = get_type_hints(operation)["asked"]

        async def answer(request: Request) -> Response:
            return await operation(read_question(request.scope["query_string"], model))

        return answer


def read_question(query_string: bytes, model: type[_Asked]) -> _Asked:
    """What a query string asks; of a parameter that isn't a list, the last. RequestValidationError."""
    lists = _lists(model)
    given = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
    try:
        return model.model_validate({k: v if k in lists else v[-1] for k, v in given.items()})
    except ValidationError as error:
        raise RequestValidationError([{**e, "loc": ("query", *e["loc"])} for e in error.errors()]) from error


@cache
def _lists(model: type[BaseModel]) -> frozenset[str]:
    """The parameters that may come several times."""
    return frozenset(name for name, f in model.model_fields.items() if get_origin(f.annotation) is list)
