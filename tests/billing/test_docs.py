"""docs/credits.md says what the code does."""

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from mien.billing.commands import group
from mien.billing.models import Kind
from mien.billing.schemas import AccountOverviewAnswer, OrderAnswer, UsageAnswer

CREDITS = (Path(__file__).parents[2] / "docs/credits.md").read_text()


@pytest.mark.parametrize(
    ("number", "model"), [(0, AccountOverviewAnswer), (1, UsageAnswer), (2, OrderAnswer)]
)
def test_the_examples_are_answers(number: int, model: type[BaseModel]) -> None:
    example = re.findall(r"```json\n(.*?)```", CREDITS, re.DOTALL)[number]
    assert model.model_validate_json(example).model_dump(mode="json", by_alias=True) == json.loads(example)


def test_every_kind_of_entry_is_documented() -> None:
    table = CREDITS.split("| `kind` |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [kind.value for kind in Kind]


def test_every_command_is_documented() -> None:
    assert set(re.findall(r"`mien credits (\w+)", CREDITS)) == set(group.commands)
