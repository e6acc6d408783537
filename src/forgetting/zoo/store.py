"""Trained weights: a name becomes a verified model.

An entry is three files: NAME.safetensors (weights), NAME.json (what the model is, how it was
trained, the sha256 of the weights) and NAME.md (the card). Pickles are never read. Of a generator
only the part that generates is kept: a VAE's decoder, the average of a GAN's generator.

An entry is looked for in the checkout's `zoo/`, then in `FORGETTING_ZOO`, then in a cache that is
filled from the project's release. Other weights of a name are warned of.
"""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save_file
from torch import nn

from forgetting.border.conditions import own_conditions
from forgetting.border.options import check_kind
from forgetting.errors import DataWarning, WeightsError
from forgetting.foundation import resources
from forgetting.foundation.files import named_folder, replacing, sha256, write_text
from forgetting.foundation.json_files import read_object
from forgetting.models import MODELS, ModelKind
from forgetting.zoo import release
from forgetting.zoo.classifier_pair import holds_pair, load_pair
from forgetting.zoo.made_with import check_made_with

VARIABLE = "FORGETTING_ZOO"

NO_MODELS = ("statistics", "likelihoods")
"""Kinds of entries that are measured on real images: tensors, not models."""


def list_models() -> list[str]:
    """Return the names of the models that the package can load, wherever it is run.

    Returns
    -------
    list of str
        In alphabetical order.

    Examples
    --------
    >>> import forgetting as fg
    >>> "digits-vae" in fg.list_models()
    True
    """
    return [n for n, entry in release.manifest().items() if entry["kind"] not in NO_MODELS]


def names(folder: Path | None = None) -> list[str]:
    """Return the names of all entries, models and statistics.

    Parameters
    ----------
    folder : Path, optional
        Where to look; without it, the entries that the package's manifest lists.
    """
    return sorted(p.stem for p in folder.glob("*.json")) if folder else list(release.manifest())


def has(name: str) -> bool:
    """Return whether an entry is in the package's manifest or in a folder of this machine.

    Raises
    ------
    WeightsError
        `FORGETTING_ZOO` names something that is not a folder.
    """
    return name in names() or any(name in names(folder) for folder in local_folders())


def record(name: str, folder: Path | None = None) -> dict[str, Any]:
    """Return the content of an entry's NAME.json.

    Parameters
    ----------
    name : str
        Name of the entry.
    folder : Path, optional
        Folder of the entry; without it, the first place that holds it.

    Raises
    ------
    WeightsError
        There is no such entry, it cannot be fetched, or its record cannot be read.
    """
    path = _path(name, "json", folder)
    try:
        return read_object(path, "sha256")
    except ValueError as error:
        raise WeightsError(f"{path} cannot be read ({error}); restore it from git.") from error


def tensors(name: str, folder: Path | None = None) -> dict[str, torch.Tensor]:
    """Return the tensors of an entry after a check of their hash.

    Parameters
    ----------
    name, folder
        As `record` takes them.

    Raises
    ------
    WeightsError
        The file is missing, corrupt, another, or of a model that has changed since.
    """
    entry = record(name, folder)
    if folder is None:
        check_made_with(name, entry, record)
    path = _path(name, "safetensors", folder)
    if not path.is_file():
        raise WeightsError(
            f"{path} is missing. Restore it from git, or train it: `forgetting train {name}`."
        )
    if (digest := sha256(path)) != (expected := entry["sha256"]):
        raise WeightsError(
            f"The weights {path} have sha256 {digest[:12]}..., but {name}.json says "
            f"{expected[:12]}...: the file is corrupt or another. Restore it from git."
        )
    try:
        return load_bytes(path.read_bytes())  # whose name need not be UTF-8
    except SafetensorError as error:
        raise WeightsError(
            f"{path} is not a safetensors file ({error}); pickled weights are never read. "
            "Convert them with safetensors.torch.save_file."
        ) from error


def load(name: str, folder: Path | str | None = None) -> Any:
    """Return a model of the zoo in evaluation mode, its parameters without gradients.

    Parameters
    ----------
    name : str
        Name of the entry; `list_models` returns them. Or a folder in which a pair of classifiers
        was saved, as `train_classifier` returns one.
    folder : Path, optional
        Folder of the entry; without it, the first place that holds it.

    Returns
    -------
    nn.Module
        Of the class that the entry's kind says: a `Glow`, a VAE's `Decoder`, a `Generator`, a
        `Classifier` or an `Embedding`. Of a folder the `TrainedPair`.

    Raises
    ------
    WeightsError
        There is no such entry, it is no model, or its weights cannot be used.

    Examples
    --------
    >>> import forgetting as fg
    >>> fg.load("digits-vae").latent_dim
    32
    """
    folder = None if folder is None else named_folder(folder)
    check_kind(str | os.PathLike, "a name, as `list_models` returns it", name=name)
    if not folder and holds_pair(name) and not has(name):
        return load_pair(name)
    entry = record(name, folder)
    if not folder:
        _warn_of_others(name, entry)
    kind = _model_kind(name, str(entry.get("kind")))
    try:
        with own_conditions():
            model = kind.model_class(kind.config_class(**entry["config"]))
        state = tensors(name, folder)
        for part, other in entry.get("parts", {}).items():
            state |= {f"{part}.{key}": value for key, value in tensors(other, folder).items()}
        model.load_state_dict(state)
        for key, weight in model.state_dict().items():
            if state[key].is_floating_point() != weight.is_floating_point():
                raise ValueError(f"{key} is of {state[key].dtype}, where {weight.dtype} is needed")
            if not weight.isfinite().all():
                raise ValueError(f"{key} has values that are not finite")
    except WeightsError:
        raise
    except Exception as error:  # whatever a model of wrong sizes raises
        raise WeightsError(
            f"The weights of {name!r} do not fit the model that {name}.json describes: {error}"
        ) from error
    return model.eval().requires_grad_(False)


def save(
    name: str,
    model: nn.Module | dict[str, torch.Tensor],
    entry: dict[str, Any],
    card: str,
    folder: Path | None = None,
) -> None:
    """Write an entry: weights, record (with the sha256 added) and card.

    Parameters
    ----------
    name : str
        Name of the entry.
    model : Module | dict[str, Tensor]
        Whose tensors are written.
    entry : dict
        "kind", of a model "config". Tensors of its "parts" are in the entries that these name.
    card : str
        The model card, Markdown.
    folder : Path, optional
        Where to write. Without it, the checkout's zoo, whose manifest is written anew, or the
        folder that `FORGETTING_ZOO` names.

    Raises
    ------
    WeightsError
        There is neither a checkout nor `FORGETTING_ZOO`.
    """
    state = model.state_dict() if isinstance(model, nn.Module) else model
    parts = tuple(f"{part}." for part in entry.get("parts", {}))
    own = {key: value.contiguous() for key, value in state.items() if not key.startswith(parts)}
    path = (folder or save_folder(name)) / f"{name}.safetensors"
    with replacing(path) as temporary:
        save_file(own, temporary)
    entry = {**entry, "sha256": sha256(path)}
    write_text(path.with_suffix(".json"), json.dumps(entry, indent=1) + "\n")
    write_text(path.with_suffix(".md"), card)
    if path.parent == checkout_folder():
        release.write_manifest(path.parent)


def checkout_folder() -> Path | None:
    """Return the checkout's zoo, or None where the package is not run from a checkout."""
    top = resources.checkout()
    return top / "zoo" if top else None


def save_folder(name: str) -> Path:
    """Return the folder in which an entry is saved: the first of `local_folders`.

    Raises
    ------
    WeightsError
        There is neither a checkout nor `FORGETTING_ZOO`.
    """
    if not (folders := local_folders()):
        raise WeightsError(f"There is no folder for {name}: set {VARIABLE} to one.")
    return folders[0]


def local_folders() -> list[Path]:
    """Return the folders of this machine that may hold entries, in the order of look-up.

    Raises
    ------
    WeightsError
        `FORGETTING_ZOO` names something that is not a folder.
    """
    named = os.environ.get(VARIABLE)
    if named and not os.path.isdir(named):
        raise WeightsError(f"{VARIABLE} names {named}, which is not a folder: make or mend it.")
    places = [checkout_folder(), Path(named).resolve() if named else None]
    return [folder for folder in places if folder]


def _path(name: str, suffix: str, folder: Path | None) -> Path:
    """Return the path of an entry's file; fetch it where no local folder has the entry."""
    for place in [folder] if folder else local_folders():
        if name in names(place):
            return place / f"{name}.{suffix}"
    available = names(folder)
    if folder or name not in available:
        raise WeightsError(f"The zoo has no {name!r}. It has: {', '.join(available) or 'none'}.")
    return release.fetch(name, suffix)


def _warn_of_others(name: str, entry: dict[str, Any]) -> None:
    """Warn where a further folder holds another entry of that name, which is not loaded."""
    holding = [place for place in local_folders() if (place / f"{name}.json").is_file()]
    for other in holding[1:]:
        if record(name, other)["sha256"] != entry["sha256"]:
            warnings.warn(
                f"{name} is loaded from {holding[0]}, not from {other}, where other weights have "
                f"that name: give these another name, or load({name!r}, folder).",
                DataWarning,
                stacklevel=3,
            )


def _model_kind(name: str, kind: str) -> ModelKind:
    """Return the kind of model of an entry."""
    if kind not in MODELS and kind not in NO_MODELS:
        from forgetting.zoo.recipes import RECIPES

        len(RECIPES)  # imports the modules of recipes: one of them may register the kind
    if kind not in MODELS:
        raise WeightsError(f"{name!r} holds {kind}, not a model; see zoo/{name}.md.")
    return MODELS[kind]
