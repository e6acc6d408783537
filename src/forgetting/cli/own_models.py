"""Commands for anyone's model: it is made by a function in a file, and forgets."""

import inspect
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from forgetting.cli.base import FOLDER, device_option
from forgetting.foundation.pairs import read_pairs

IMAGES = click.Path(path_type=Path, exists=True, file_okay=False)
MODEL = "NAME|FILE.py:FUNCTION"

classifier_option = click.option(
    "--classifier", metavar=MODEL, help="What steers [classifier A of digits or of faces]."
)
seed_option = click.option(
    "--seed", type=int, default=0, show_default=True, help="Of all random draws."
)
settings_option = click.option(
    "-p", "pairs", multiple=True, metavar="NAME=VALUE", help="A setting of the method."
)
output_option = click.option("--output", type=FOLDER, required=True, help="New folder for it.")


@click.command()
@click.argument("generator", metavar="FILE.py:FUNCTION")
@click.option("--feature", required=True, help="Attribute to unlearn, such as Eyeglasses.")
@classifier_option
@click.option(
    "--grader",
    "graders",
    multiple=True,
    metavar=MODEL,
    help="What grades; may be repeated [classifier B of digits or of faces].",
)
@click.option("--method", default="until_gone", show_default=True, help="Or moon2024: one pass.")
@click.option("--share", type=float, help="Of a feature of degree: the share that has it.")
@device_option("auto")
@seed_option
@click.option("--samples", type=int, default=5000, show_default=True, help="In every measure.")
@settings_option
@output_option
def unlearn(
    generator: str,
    feature: str,
    classifier: str | None,
    graders: tuple[str, ...],
    device: str,
    samples: int,
    pairs: tuple[str, ...],
    output: Path,
    **options: Any,
) -> None:
    """Make a generator of your own unlearn a feature.

    FUNCTION in FILE.py takes no argument and returns the generator, as `forgetting.as_generator`
    makes one. A classifier is a name of the zoo, or a function that returns one. The folder gets
    weights, record, card and a picture, and with `forgetting[book]` a notebook of the run.
    """
    from forgetting.errors import ParameterError
    from forgetting.experiments.own_code import call_function, load_scores
    from forgetting.experiments.own_model import checked_settings
    from forgetting.experiments.own_model import unlearn as unlearn_feature
    from forgetting.foundation.devices import choose_device
    from forgetting.zoo.saved import check_new, read_report

    check_new(output)
    settings: dict[str, Any] = dict(read_pairs(pairs))
    if taken := sorted(settings.keys() & inspect.signature(unlearn_feature).parameters.keys()):
        raise ParameterError(f"-p {taken[0]} is no setting of the method: look at --help.")
    # a wrong option is answered here, before a notebook is started, which takes seconds
    settings = checked_settings(options["method"], settings)
    model = call_function(generator).to(choose_device(device))
    steering, grading = load_scores(model, feature, classifier, graders)
    if find_spec("papermill"):
        _unlearn_in_a_notebook(
            output,
            settings,
            model=_absolute(generator),
            feature=feature,
            device=device,
            classifier=_absolute(classifier or ""),
            graders=",".join(map(_absolute, graders)),
            n_samples=samples,
            **{name: value for name, value in options.items() if value is not None},
        )
    else:
        result = unlearn_feature(model, steering, grading, n=samples, **options, **settings)
        result.save(output)
    click.echo(read_report(output))
    click.echo(f"saved in {output}")


def _absolute(place: str) -> str:
    """Return FILE.py:FUNCTION with the whole path of the file; a name of the zoo stays."""
    file, colon, function = place.rpartition(":")
    return f"{Path(file).expanduser().resolve()}{colon}{function}" if colon else place


OF_THE_TEMPLATE = {"until_gone": ("steps", "rounds", "n_collected"), "moon2024": ("steps",)}
"""Settings of each method that the template has as parameters of their own."""


def _unlearn_in_a_notebook(output: Path, settings: dict[str, Any], **values: Any) -> None:
    """Execute the template on anyone's generator, and leave notebook and record in a folder."""
    from forgetting.book import execution

    for name in OF_THE_TEMPLATE[values["method"]]:
        if name in settings:
            values[name] = settings.pop(name)
    values["settings"] = ",".join(f"{name}={value}" for name, value in settings.items())
    values["folder"] = str(output)
    output.mkdir(parents=True, exist_ok=True)
    notebook, name = output / "unlearning.ipynb", "unlearning"
    execution.execute(
        "unlearning_own", values, notebook, name=name, results=output, progress=sys.stderr.isatty()
    )


@click.command()
@click.argument("flow", metavar="FILE.py:FUNCTION")
@click.option("--forget", required=True, type=IMAGES, help="Folder of images to forget.")
@click.option("--retain", required=True, type=IMAGES, help="Folder of at least 160 others.")
@click.option("--size", type=int, default=64, show_default=True, help="Side of the flow's images.")
@click.option("--crop", default="folder", show_default=True, help="Or celeba, lfw.")
@device_option("auto")
@seed_option
@settings_option
@output_option
def tame(
    flow: str,
    forget: Path,
    retain: Path,
    size: int,
    crop: str,
    device: str,
    seed: int,
    pairs: tuple[str, ...],
    output: Path,
) -> None:
    """Make a flow of your own forget images.

    FUNCTION in FILE.py takes no argument and returns the flow, as `forgetting.as_flow` makes one.
    A quarter of the images to retain are held out, and measured. The folder gets weights, record
    and card.
    """
    from forgetting.data.own_images import load_images
    from forgetting.errors import ParameterError
    from forgetting.experiments.own_code import call_function
    from forgetting.experiments.own_flow import tame_and_measure
    from forgetting.foundation.devices import choose_device
    from forgetting.zoo.saved import check_new

    check_new(output)
    settings: dict[str, Any] = dict(read_pairs(pairs))
    if "seed" in settings:
        raise ParameterError("-p seed: give --seed.")
    model = call_function(flow).to(choose_device(device))
    images, others = (load_images(folder, crop=crop, size=size) for folder in (forget, retain))
    report = tame_and_measure(model, images, others, seed=seed, **settings)
    report.save(output)
    click.echo(report)
    click.echo(f"saved in {output}")


@click.command()
@click.argument("before", metavar="BEFORE.py:FUNCTION")
@click.argument("after", metavar="AFTER.py:FUNCTION|FOLDER")
@click.option("--feature", required=True, help="Attribute that was unlearned.")
@classifier_option
@click.option(
    "--grader",
    metavar=MODEL,
    help="What grades [classifier B of digits or of faces].",
)
@click.option(
    "--retrained", metavar="FILE.py:FUNCTION", help="A model that never had the feature."
)
@click.option("--samples", type=int, default=1000, show_default=True, help="In every share.")
@device_option("auto")
@seed_option
def audit(
    before: str,
    after: str,
    feature: str,
    classifier: str | None,
    grader: str | None,
    retrained: str | None,
    samples: int,
    device: str,
    seed: int,
) -> None:
    """Probe a generator before and after unlearning.

    BEFORE and AFTER are made as for `unlearn`, or AFTER is the folder that `unlearn` left. The
    probes attack latents, tune copies on a few images with the feature, and read the last layer.
    """
    from forgetting.experiments.own_audit import audit as audit_pair
    from forgetting.experiments.own_code import call_function, load_scores
    from forgetting.foundation.devices import choose_device
    from forgetting.zoo.saved import restore

    place = choose_device(device)
    first = call_function(before).to(place)
    if Path(after).is_dir():
        second = restore(after, into=call_function(before)).to(place)
    else:
        second = call_function(after).to(place)
    steering, graders = load_scores(first, feature, classifier, [grader] if grader else [])
    reference = call_function(retrained).to(place) if retrained else None
    report = audit_pair(
        first, second, steering, *graders, retrained=reference, n=samples, seed=seed
    )
    click.echo(report)
