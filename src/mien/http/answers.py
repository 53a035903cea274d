"""What was asked for, in one envelope: `{"code": 200, "message": "success", "data": …}`."""

from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

Data = TypeVar("Data", bound=BaseModel)


class Answer(BaseModel, Generic[Data]):
    """Base of every answer. Each has a class of its own, which names it in the OpenAPI document."""

    code: Literal[200] = 200
    message: Literal["success"] = "success"
    data: Data
