"""The kinds of runs that `kills.py` kills."""

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

N_STEPS, EVERY = 600, 20
"""Steps of the training, and from one checkpoint to the next, as `tiny_recipe.py` has them."""


@dataclass(frozen=True)
class Kind:
    """A kind of run.

    Attributes
    ----------
    command : tuple of str
        After `python`.
    left : tuple of str
        Patterns of what it leaves, below the scratch folder.
    trains : bool
        Whether it trains by `tiny_recipe.py`.
    """

    command: tuple[str, ...]
    left: tuple[str, ...]
    trains: bool = False


FORGETTING = ("-m", "forgetting.cli")
TINY = str(HERE / "tiny.py")

KINDS = {
    "training": Kind(
        (*FORGETTING, "train", "tiny-vae", "--threads", "1"),
        ("clone/zoo/tiny-vae.*",),
        trains=True,
    ),
    "taming": Kind(
        (
            *(*FORGETTING, "tame", f"{TINY}:make_flow", "--output", "out"),
            *("--forget", "../forget", "--retain", "../retain", "--size", "16"),
            *("--channels", "1", "-p", "max_steps=40", "-p", "n_statistics=32"),
        ),
        ("clone/out/*",),
    ),
    "unlearning": Kind(
        (
            *(*FORGETTING, "unlearn", f"{TINY}:make_generator", "--output", "out"),
            *("--feature", "Bright", "--classifier", f"{TINY}:make_classifier"),
            *("--grader", f"{TINY}:make_grader", "--samples", "500"),
            *("-p", "n_collected=2000", "-p", "rounds=2", "-p", "steps=20"),
        ),
        ("clone/out/*",),
    ),
    "notebook": Kind(
        (*FORGETTING, "run", "tour", "-p", "preset=smoke", "--name", "one", "--output", "out"),
        ("clone/out/*",),
    ),
    "sweep": Kind((*FORGETTING, "sweep", "small", "--jobs", "1"), ("clone/results/small/*",)),
    "publish": Kind(
        (*FORGETTING, "publish", "small_page", "--jobs", "1"),
        ("clone/results/small_page*", "clone/book/runs/small_page*"),
    ),
    "download": Kind((str(HERE / "fetch.py"),), ("cache/forgetting/zoo/digits-*",)),
}
"""The kinds of runs, by name."""

RUNS = [
    {
        "name": "small_page",
        "title": "A small page",
        "template": "tour",
        "parameters": {"preset": "smoke"},
    },
    {
        "name": "small",
        "title": "A small sweep",
        "template": "tour",
        "parameters": {"preset": "smoke"},
        "grid": {"seed": [1, 2, 3]},
    },
]
"""What takes the place of runs.yaml in the clone."""
