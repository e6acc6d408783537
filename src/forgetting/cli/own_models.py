"""Commands for anyone's model: it is made by a function in a file, and forgets."""

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from forgetting.cli.base import FOLDER, Command, NamedPath, WithSettings, device_option
from forgetting.cli.own_notebooks import clear_killed, has_notebooks, leave_notebook
from forgetting.foundation.files import expanded
from forgetting.foundation.pairs import read_pairs

IMAGES = NamedPath(path_type=Path, exists=True, file_okay=False, resolve_path=True)
MODEL = "NAME|FILE.py:FUNCTION"
SCORED = f"{MODEL}|FOLDER"

classifier_option = click.option(
    "--classifier", metavar=SCORED, help="What steers [classifier A of digits or of faces]."
)
seed_option = click.option(
    "--seed", type=int, default=0, show_default=True, help="Of all random draws."
)
settings_option = click.option(
    "-p", "pairs", multiple=True, metavar="NAME=VALUE", help="A setting, see below."
)
output_option = click.option("--output", type=FOLDER, required=True, help="New folder for it.")


@click.command(cls=WithSettings)
@click.argument("generator", metavar=MODEL)
@click.option("--feature", required=True, help="Attribute to unlearn, such as Eyeglasses.")
@classifier_option
@click.option(
    "--grader",
    "graders",
    multiple=True,
    metavar=SCORED,
    help="What grades; may be repeated [classifier B; of faces also face-api].",
)
@click.option("--method", default="until_gone", show_default=True, help="Or moon2024: one pass.")
@click.option("--share", type=float, help="Of a feature of degree: the share that has it.")
@device_option("auto")
@seed_option
@click.option(
    "--samples", type=int, default=5000, show_default=True, help="In every measure; n in Python."
)
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
    makes one. A classifier is a name of the zoo, the FOLDER of a pair that `train_classifier` made
    and `save` wrote, or a function that returns one, or one of its scores. The other classifier of
    a pair grades. The output gets weights, record, card, picture and, with `forgetting[book]`, a
    notebook of the run.
    """
    from forgetting.border.preflight import check_generator
    from forgetting.border.sampling import check_scores_on
    from forgetting.experiments import own_model
    from forgetting.experiments.own_code import load_model, load_scores
    from forgetting.foundation.devices import choose_device
    from forgetting.zoo.saved import FILES, RECORD, check_new

    clear_killed("unlearning_own", output, FILES)
    check_new(output)
    settings = _settings(pairs, own_model.unlearn)
    settings = own_model.checked_options(n=samples, **options, **settings)
    model = load_model(generator).to(choose_device(device))
    check_generator(model, is_tuned=True)
    steering, grading = load_scores(model, feature, classifier, graders)
    check_scores_on(model, [steering, *grading], is_logit=options["share"] is None)
    if has_notebooks():
        del model, steering, grading  # the notebook makes its own
        leave_notebook(
            "unlearning_own",
            output,
            settings,
            model=_absolute(generator),
            feature=feature,
            device=device,
            classifier=_absolute(classifier),
            graders=",".join(map(_absolute, graders)),
            n_samples=samples,
            **options,
        )
    else:
        result = own_model.unlearn(model, steering, grading, n=samples, **options, **settings)
        result.save(output)
    _tell(output / RECORD)


@click.command(cls=WithSettings)
@click.argument("flow", metavar=MODEL)
@click.option("--forget", required=True, type=IMAGES, help="Folder of images to forget.")
@click.option("--retain", required=True, type=IMAGES, help="Folder of at least 160 others.")
@click.option("--size", type=int, default=64, show_default=True, help="Side of the flow's images.")
@click.option("--crop", default="folder", show_default=True, help="Or celeba, lfw.")
@click.option("--channels", type=int, default=3, show_default=True, help="3, or 1: grey.")
@device_option("auto")
@seed_option
@settings_option
@output_option
def tame(
    flow: str,
    forget: Path,
    retain: Path,
    device: str,
    seed: int,
    pairs: tuple[str, ...],
    output: Path,
    **options: Any,
) -> None:
    """Make a flow of your own forget images.

    FUNCTION in FILE.py takes no argument and returns the flow, as `forgetting.as_flow` makes one.
    A quarter of the images to retain are held out, and measured. The folder gets weights, record,
    card and, of a flow that samples, a picture, and with `forgetting[book]` a notebook of the run.
    """
    from forgetting.experiments import own_flow
    from forgetting.experiments.own_code import load_model
    from forgetting.foundation.devices import choose_device
    from forgetting.zoo.saved import FILES, RECORD, check_new

    clear_killed("taming_own", output, FILES)
    check_new(output)
    settings = own_flow.checked_options(seed, **_settings(pairs, own_flow.tame))
    place = choose_device(device)
    images, others = own_flow.load_sets(str(forget), str(retain), **options)
    model = load_model(flow).to(place)
    own_flow.check_taming(model, images, others)
    if has_notebooks():
        del model, images, others  # the notebook makes its own
        leave_notebook(
            "taming_own",
            output,
            settings,
            model=_absolute(flow),
            forget=str(forget),
            retain=str(retain),
            device=device,
            seed=seed,
            **options,
        )
    else:
        own_flow.tame(model, images, others, seed, **settings).save(output)
    _tell(output / RECORD)


@click.command(cls=Command)
@click.argument("before", metavar=MODEL)
@click.argument("after", metavar=f"{MODEL}|FOLDER")
@click.option("--feature", required=True, help="Attribute that was unlearned.")
@classifier_option
@click.option(
    "--grader",
    metavar=SCORED,
    help="What grades [classifier B of digits or of faces].",
)
@click.option("--retrained", metavar=MODEL, help="A model that never had the feature.")
@click.option(
    "--samples", type=int, default=1000, show_default=True, help="In every share; n in Python."
)
@device_option("auto")
@seed_option
@click.option("--output", type=FOLDER, help="Folder for the record, may be AFTER [none].")
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
    output: Path | None,
) -> None:
    """Probe a generator before and after unlearning.

    BEFORE and AFTER are made as for `unlearn`, or AFTER is the folder that `unlearn` left. The
    probes attack latents, tune copies on a few images with the feature, and read the last layer.
    With `--output` the folder gets a record, and with `forgetting[book]` a notebook of the run.
    """
    from forgetting.experiments import own_audit
    from forgetting.experiments.own_code import load_audit_scores, load_model, load_tuned
    from forgetting.foundation.devices import choose_device

    if output is not None:
        clear_killed("auditing_own", output, (own_audit.RECORD,))
        own_audit.check_unaudited(output)
    models = {"before": load_model(before), "after": load_tuned(after, before)}
    if retrained:
        models["retrained"] = load_model(retrained)
    place = choose_device(device)
    models = {name: model.to(place) for name, model in models.items()}
    steering, grading = load_audit_scores(models["before"], feature, classifier, grader)
    own_audit.check_audit(models, steering, grading or steering, seed, n=samples)
    if output is not None and has_notebooks():
        del models, steering, grading  # the notebook makes its own
        leave_notebook(
            "auditing_own",
            output,
            {},
            model=_absolute(before),
            after=_absolute(after),
            feature=feature,
            classifier=_absolute(classifier),
            grader=_absolute(grader),
            retrained=_absolute(retrained),
            device=device,
            n_samples=samples,
            seed=seed,
        )
    else:
        report = own_audit.audit(**models, feature=steering, grader=grading, n=samples, seed=seed)
        if output is None:
            click.echo(report)
            return
        report.save(output)
    _tell(output / own_audit.RECORD)


def _settings(pairs: tuple[str, ...], function: Callable[..., Any]) -> dict[str, Any]:
    """Return settings of a method as texts, none of which is an option of the function."""
    from forgetting.errors import ParameterError

    settings: dict[str, Any] = dict(read_pairs(pairs))
    if taken := sorted(settings.keys() & inspect.signature(function).parameters.keys()):
        raise ParameterError(f"-p {taken[0]} is no setting of the method: look at --help.")
    return settings


def _absolute(place: str | None) -> str:
    """Return FILE.py:FUNCTION or FOLDER with the whole path; a name of the zoo stays."""
    file, colon, function = (place or "").rpartition(":")
    if colon:
        return f"{os.path.realpath(expanded(file))}:{function}"
    return os.path.realpath(function) if os.path.isdir(function) else function


def _tell(record: Path) -> None:
    """Print the report of a record, and where it is."""
    from forgetting.zoo.saved import read_report

    click.echo(read_report(record))
    click.echo(f"saved in {record.parent}")
