"""What reports warn of is said in the site's languages."""

from dataclasses import replace
from typing import Any, get_args

import pytest
from tests.reports import FINE

from mien.engine.report import WarningCode, assessed
from mien.web.languages import LANGUAGES
from mien.web.warnings import patterns, sentences

BAD = replace(
    FINE,
    similarity_to_source=0.1,
    mirrored=0.42,
    pose_gap=61.4,
    resolution_gap=3.47,
    covered=0.31,
    beard_kept=True,
    strangers=(1, 3),
)


def report(source_yaw: float) -> dict[str, Any]:
    """As the API answers it."""
    return assessed(BAD, source_yaw).to_dict()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_its_sentence(language: str) -> None:
    assert list(patterns(language)) == [*get_args(WarningCode)]


@pytest.mark.parametrize("source_yaw", [-40.0, 40.0])
def test_in_english_it_is_what_the_report_says(source_yaw: float) -> None:
    said = report(source_yaw)
    assert list(sentences("en", said)) == said["warnings"]


def test_figures_are_written_as_people_write_them() -> None:
    said = " ".join(sentences("es", report(40.0)))
    for figure in ("2", "4", "42\N{NO-BREAK SPACE}%", "61", "3,5", "31\N{NO-BREAK SPACE}%"):
        assert figure in said
    assert "{" not in said


def test_what_has_no_code_is_said_as_it_was() -> None:
    older: dict[str, Any] = {"warnings": ["An older sentence."]}
    assert list(sentences("es", older)) == ["An older sentence."]
    newer = {"warnings": ["A newer sentence."], "warning_codes": ["unheard_of"]}
    assert list(sentences("es", newer)) == ["A newer sentence."]
