"""The report says in words what its figures mean, and steps are announced and timed."""

import json
from dataclasses import replace

import pytest

from mien.engine.report import Step, Stopwatch, SwapReport, with_warnings

FINE = SwapReport(
    similarity_to_source=0.8,
    similarity_to_target=0.5,
    faces=1,
    pose_gap=5.0,
    expression_gap=0.01,
    resolution_gap=1.0,
    mirrored=0.0,
    covered=0.0,
    beard_kept=False,
    eyes_kept=0,
    warnings=(),
    milliseconds={},
)


def test_a_good_swap_warns_of_nothing() -> None:
    assert with_warnings(FINE, source_yaw=3.0).warnings == ()


@pytest.mark.parametrize(
    ("finding", "source_yaw", "words"),
    [
        ({"mirrored": 0.4}, -48.2, "The source looks 48° to the left: 40% of the face was mirrored."),
        ({"mirrored": 0.4}, 31.0, "The source looks 31° to the right: 40% of the face was mirrored."),
        ({"pose_gap": 52.3}, 0.0, "turned 52° apart"),
        ({"resolution_gap": 3.47}, 0.0, "The source face is 3.5 times smaller than the target's"),
        ({"covered": 0.31}, 0.0, "About 31% of the target's face is covered"),
        ({"beard_kept": True}, 0.0, "The target's beard was kept"),
        ({"eyes_kept": 1}, 0.0, "the eyes of the target were kept"),
        ({"similarity_to_source": 0.1}, 0.0, "resembles the source only weakly"),
    ],
)
def test_what_was_found_is_said(finding: dict[str, float], source_yaw: float, words: str) -> None:
    (warning,) = with_warnings(replace(FINE, **finding), source_yaw).warnings  # type: ignore[arg-type]
    assert words in warning
    assert warning.endswith(".")


def test_every_finding_is_said_at_once() -> None:
    bad = replace(
        FINE, mirrored=0.5, pose_gap=60.0, resolution_gap=4.0, covered=0.5, beard_kept=True, eyes_kept=2
    )
    assert len(with_warnings(bad, 48.0).warnings) == 6


def test_a_report_is_ready_for_json() -> None:
    report = with_warnings(replace(FINE, covered=0.5, milliseconds={"detecting": 12.5}), 0.0)
    read = json.loads(json.dumps(report.to_dict()))
    assert read["warnings"] == list(report.warnings)
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
