"""The report says in words what its figures mean, and steps are announced and timed."""

import json
from dataclasses import replace

import pytest
from tests.reports import FINE

from mien.engine.report import Step, Stopwatch, assessed


def test_a_good_swap_warns_of_nothing() -> None:
    assert assessed(FINE, source_yaw=3.0).warnings == ()


@pytest.mark.parametrize(
    ("finding", "source_yaw", "code", "words"),
    [
        (
            {"mirrored": 0.4},
            -48.2,
            "mirrored_left",
            "turned to the left, so 40% of the new face was mirrored",
        ),
        (
            {"mirrored": 0.4},
            31.0,
            "mirrored_right",
            "turned to the right, so 40% of the new face was mirrored",
        ),
        ({"pose_gap": 52.3}, 0.0, "pose_gap", "turned 52° apart"),
        (
            {"resolution_gap": 3.47},
            0.0,
            "low_resolution",
            "in the face picture is 3.5 times smaller",
        ),
        ({"covered": 0.31}, 0.0, "covered", "covers about 31% of the face in the picture"),
        ({"beard_kept": True}, 0.0, "beard_kept", "The beard in the picture was kept"),
        ({"similarity_to_source": 0.1}, 0.0, "weak_likeness", "resembles the face picture only weakly"),
        ({"strangers": (2,)}, 0.0, "stranger", "Face picture 3 seems to show somebody else"),
    ],
)
def test_what_was_found_is_said_in_plain_words(
    finding: dict[str, float], source_yaw: float, code: str, words: str
) -> None:
    report = assessed(replace(FINE, **finding), source_yaw)  # type: ignore[arg-type]
    (warning,) = report.warnings
    assert report.warning_codes == (code,)
    assert words in warning
    assert warning.endswith(".")
    assert not {"source", "target"} & set(warning.lower().split())


def test_every_finding_is_said_at_once() -> None:
    bad = replace(
        FINE, mirrored=0.5, pose_gap=60.0, resolution_gap=4.0, covered=0.5, beard_kept=True, strangers=(1, 3)
    )
    report = assessed(bad, 48.0)
    assert len(report.warnings) == 7
    assert report.warning_codes == (
        *("stranger", "stranger", "mirrored_right", "pose_gap", "low_resolution", "covered", "beard_kept"),
    )


@pytest.mark.parametrize(
    "finding",
    [{"similarity_to_source": 0.4}, {"pose_gap": 50.0}, {"expression_gap": 0.08}, {"covered": 0.6}],
    ids=lambda finding: next(iter(finding)),
)
def test_what_spoils_a_result_lowers_its_quality(finding: dict[str, float]) -> None:
    good = assessed(FINE, 0.0).quality
    assert 0.7 < good <= 1
    assert assessed(replace(FINE, **finding), 0.0).quality < good - 0.1  # type: ignore[arg-type]


def test_quality_stays_within_its_range() -> None:
    worst = replace(FINE, similarity_to_source=-1.0, pose_gap=90.0, expression_gap=0.5, covered=1.0)
    best = replace(FINE, similarity_to_source=1.0, pose_gap=0.0, expression_gap=0.0)
    assert assessed(worst, 0.0).quality == 0
    assert 0.9 < assessed(best, 0.0).quality <= 1


def test_a_report_is_ready_for_json() -> None:
    report = assessed(replace(FINE, covered=0.5, milliseconds={"detecting": 12.5}), 0.0)
    read = json.loads(json.dumps(report.to_dict()))
    assert read["warnings"] == list(report.warnings)
    assert read["warning_codes"] == ["covered"]
    assert read["milliseconds"] == {"detecting": 12.5}
    assert read["similarity_to_source"] == 0.8


def test_steps_are_announced_before_they_begin_and_timed_when_they_end() -> None:
    heard: list[tuple[Step, set[str]]] = []
    clock = Stopwatch(lambda step: heard.append((step, set(clock.milliseconds))))
    clock.start("detecting")
    clock.start("shaping")
    clock.stop()
    assert heard == [("detecting", set()), ("shaping", {"detecting"})]
    assert list(clock.milliseconds) == ["detecting", "shaping"]
    assert min(clock.milliseconds.values()) >= 0


def test_whatever_the_listener_raises_passes_through() -> None:
    def stop(step: Step) -> None:
        raise KeyboardInterrupt(step)

    with pytest.raises(KeyboardInterrupt, match="detecting"):
        Stopwatch(stop).start("detecting")


def test_nobody_has_to_listen() -> None:
    clock = Stopwatch(None)
    clock.start("detecting")
    clock.stop()
    clock.stop()
    assert list(clock.milliseconds) == ["detecting"]
