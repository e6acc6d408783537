"""Columns of the tables of sweeps: heading and format by column of the runs.

`tables.summarise` takes them. The order is that of the table.
"""

Columns = dict[str, tuple[str, str]]
"""Heading and format by name."""

PEOPLE_MEANS: Columns = {
    "steps": ("steps", "{:.0f}"),
    "quantile_drop_reference": ("drop, the person", "{:+.3f}"),
    "quantile_drop_neutral": ("drop, strangers", "{:+.3f}"),
    "drop_reference_minus_neutral": ("the person - strangers", "{:+.3f}"),
    "shift_reference_sigma": ("shift, the person, sigma", "{:+.2f}"),
    "shift_neutral_sigma": ("shift, strangers", "{:+.2f}"),
    "shift_random_sigma": ("shift, held-out faces", "{:+.3f}"),
    "fid_percent": ("change of FID at T = 0.7, %", "{:+.0f}"),
    "fid_spread": ("deviation between draws", "{:.1f}"),
    "fid_t9_percent": ("change of FID at T = 0.9, %", "{:+.0f}"),
    "fid_t9_spread": ("deviation between draws, T = 0.9", "{:.1f}"),
    "share_of_training": ("of training", "{:.2%}"),
}
"""What taming people reached, as means over people."""

PEOPLE_RANGES: Columns = {
    "within": ("within, the rule", "{:.2f}"),
    "within_measured": ("within, measured", "{:.2f}"),
    "near_points": ("near, points", "{:+.2f}"),
    "fid_before": ("FID of the base at T = 0.7", "{:.0f}"),
}
"""What taming people reached, with the least and the greatest of all runs."""

ABLATIONS: Columns = {
    "within_measured": ("within", "{:.0%}"),
    "steps": ("steps", "{:.0f}"),
    "quantile_after_forget": ("quantile after", "{:.2f}"),
    "drop_reference_minus_neutral": ("reference - neutral", "{:+.2f}"),
    "shift_random_sigma": ("shift, sigma", "{:+.2f}"),
    "fid_percent": ("FID at 0.7, %", "{:+.0f}"),
    "fid_t9_percent": ("FID at 0.9, %", "{:+.0f}"),
}
"""What each part of taming costs and brings."""

TARGETS: Columns = {
    "met": ("met", "{:.0%}"),
    "steps": ("steps", "{:.0f}"),
    "farthest": ("farthest, one run", "{:.3f}"),
    "shift_random_sigma": ("shift, sigma", "{:+.3f}"),
    "fid_percent": ("FID at T = 0.7, %", "{:+.0f}"),
    "fid_beyond_percent": ("beyond the mixture, %", "{:+.0f}"),
    "fid_t9_percent": ("FID at T = 0.9, %", "{:+.0f}"),
    "fid_beyond_t9_percent": ("beyond the mixture there, %", "{:+.0f}"),
}
"""What a run with a target distribution took and cost."""

UNLEARNING_PIXELS: Columns = {
    "l1_present": ("present", "{:.3f}"),
    "inside_present": ("inside the rows", "{:.3f}"),
    "outside_present": ("outside the rows", "{:.3f}"),
    "l1_absent": ("absent", "{:.4f}"),
}
"""The mean change of a pixel where the feature was present and where it was absent."""

UNLEARNING_CHANGES: Columns = {
    "class_changed_present": ("class, present", "{:.1%}"),
    "class_changed_absent": ("class, absent", "{:.1%}"),
    "flipped_present": ("flipped, present", "{:.1%}"),
    "flipped_absent": ("flipped, absent", "{:.1%}"),
    "share_change": ("largest share", "{:.1%}"),
}
"""What classifier B finds changed by unlearning beside the feature."""
