"""A report that nothing is wrong with, to start from."""

from mien.engine.report import SwapReport

FINE = SwapReport(
    quality=0.0,
    similarity_to_source=0.8,
    similarity_to_target=0.5,
    faces=1,
    pose_gap=5.0,
    expression_gap=0.01,
    resolution_gap=1.0,
    mirrored=0.0,
    covered=0.0,
    beard_kept=False,
    pictures=(0,),
    texture_from=0,
    strangers=(),
    warnings=(),
    warning_codes=(),
    milliseconds={},
)
