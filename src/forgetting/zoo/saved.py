"""A tuned model in a folder of its owner: weights, record, card and picture, and the way back.

The folder holds `weights.safetensors`, `record.json` (with the sha256 of the weights), `README.md`
and, of a generator, `samples.png`. Pickles are never read.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import nn

from forgetting.errors import ForgettingError, WeightsError
from forgetting.foundation.files import check_writable, named_folder, replacing_all, sha256
from forgetting.foundation.json_files import object_in, read_object
from forgetting.zoo.same_answers import check_answers, gives_answers, warn_of_other_answers
from forgetting.zoo.same_module import (
    bytes_of,
    facts_beside,
    inner_module,
    modules_of,
    tensors_of,
    warn_of_other_modules,
    warn_of_other_values,
)

WEIGHTS, RECORD, CARD, PICTURE = "weights.safetensors", "record.json", "README.md", "samples.png"

SAVING = ".saving"
"""A file that is in a folder while a model is saved: a process that is killed leaves it behind."""

FILES = (PICTURE, CARD, WEIGHTS, RECORD, SAVING)
"""Names of all files of a saved model."""

M = TypeVar("M", bound=nn.Module)


def state_digest(model: nn.Module) -> str:
    """Return the sha256 of a model's state: names, number formats, shapes and values."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors_of(model).items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(bytes_of(value))
    return digest.hexdigest()


def check_new(folder: Path) -> None:
    """Raise an error if a folder holds a model or files of these names, or cannot be written to.

    What a process left that was killed while it saved a model may be overwritten.

    Raises
    ------
    ForgettingError
        One of them is so.
    """
    if (folder / RECORD).exists():
        raise ForgettingError(f"{folder} holds a model already: name another folder, or move it.")
    present = [name for name in (WEIGHTS, CARD, PICTURE) if (folder / name).exists()]
    if present and not (folder / SAVING).exists():
        raise ForgettingError(
            f"{folder} has a {present[0]}, which would be overwritten: name another folder."
        )
    is_new = not folder.exists()
    check_writable(folder)
    if is_new:
        folder.rmdir()  # a call that is refused leaves nothing


def check_unchanged(model: nn.Module, parameters: Mapping[str, Any]) -> None:
    """Raise an error if a tuned model is not the one that was measured.

    Parameters
    ----------
    model : nn.Module
        The model.
    parameters : mapping
        Of the record: `tuned_sha256`, the digest of its state when it was measured, and
        `tuned_answers`, as `answers_of` returned them then.

    Raises
    ------
    ForgettingError
        Its weights, their number format, or its answers have changed since.
    """
    is_same = state_digest(model) == parameters["tuned_sha256"]
    if not is_same or not gives_answers(model, parameters["tuned_answers"]):
        raise ForgettingError(
            "The tuned copy has changed since it was measured, so that record and card would be "
            "of another model: change a `copy.deepcopy` of it, or unlearn anew."
        )


def check_is_of(folder: Path, digest: str) -> None:
    """Raise an error if a folder holds a tuned model, and it is another than one with a digest.

    Parameters
    ----------
    folder : Path
        Perhaps of a tuned model.
    digest : str
        Of a model's state, as `state_digest` returns it.

    Raises
    ------
    ForgettingError
        The record in the folder names another state.
    """
    if recorded(folder, "tuned_sha256") not in (None, digest):
        raise ForgettingError(f"{folder} holds another model than this: name another folder.")


def recorded(folder: Path, name: str) -> str | None:
    """Return a parameter in the record of a tuned model; None where the folder holds no such.

    Parameters
    ----------
    folder : Path
        Perhaps of a tuned model, perhaps of an earlier version.
    name : str
        Such as "base_sha256".
    """
    try:
        value = read_object(folder / RECORD)["parameters"][name]
    except (ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None


def save_model(
    folder: Path | str,
    model: nn.Module,
    record: Mapping[str, Any],
    card: str,
    picture: torch.Tensor | None = None,
) -> None:
    """Write a model to a folder, all of it or nothing.

    Parameters
    ----------
    folder : Path or str
        It is made if it is missing, and must not hold a model.
    model : nn.Module
        Its own state is written, without an adapter around it.
    record : mapping
        What is known of the model, as JSON holds it; `sha256` is added.
    card : str
        A page about the model, in Markdown.
    picture : Tensor, optional
        (H, W) or (H, W, 3), uint8.

    Raises
    ------
    ForgettingError
        The folder holds a model, or cannot be written to.
    """
    folder = named_folder(folder)
    names = (*((PICTURE,) if picture is not None else ()), CARD, WEIGHTS, RECORD)
    check_new(folder)
    own = {n: value.detach().cpu().clone().contiguous() for n, value in tensors_of(model).items()}
    try:
        with replacing_all([folder / name for name in names]) as temporaries:
            card_file, weights_file, record_file = temporaries[-3:]
            if picture is not None:
                Image.fromarray(picture.numpy()).save(temporaries[0], format="PNG")
            card_file.write_text(card, encoding="utf-8")
            save_file(own, weights_file)
            known = {"modules": modules_of(model), "beside": facts_beside(model)}
            full = {**record, "sha256": sha256(weights_file), **known}
            record_file.write_text(json.dumps(full, indent=1) + "\n", encoding="utf-8")
            (folder / SAVING).touch()
    finally:
        (folder / SAVING).unlink(missing_ok=True)


def read_report(record: Path) -> str:
    """Return what a record in a folder of its owner says, as a text.

    Raises
    ------
    WeightsError
        The record cannot be read, or says nothing.
    """
    try:
        report: str = read_object(record, "report")["report"]
    except ValueError as error:
        raise WeightsError(f"{record} cannot be read ({error}): make the run again.") from error
    return report


def restore(folder: Path | str, into: M) -> M:
    """Load saved weights into a module of the same architecture, and return it.

    Parameters
    ----------
    folder : Path or str
        What `save` of a result wrote.
    into : nn.Module
        The module, or an adapter around it. It gets the weights, and is in evaluation mode.

    Returns
    -------
    nn.Module
        `into`.

    Raises
    ------
    WeightsError
        There is no saved model, its files do not belong together, or the module has other weights.

    Examples
    --------
    >>> import tempfile
    >>> import forgetting as fg
    >>> generator = fg.load("digits-vae")
    >>> ink = lambda images: images.sum((1, 2, 3))
    >>> result = fg.unlearn(generator, ink, share=0.1, method="moon2024", n=400, steps=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result.save(f"{folder}/less-ink")
    ...     model = fg.restore(f"{folder}/less-ink", into=fg.load("digits-vae"))
    >>> model.latent_dim
    32
    """
    folder = named_folder(folder)
    record_path, weights_path = folder / RECORD, folder / WEIGHTS
    if not record_path.is_file() or not weights_path.is_file():
        raise WeightsError(
            f"{folder} holds no saved model: it needs {WEIGHTS} and {RECORD}, as `result.save` "
            "writes them."
        )
    try:
        record = read_object(record_path, "sha256")
        beside, parameters = (object_in(record, name) for name in ("beside", "parameters"))
        kept = parameters.get("tuned_answers")
        check_answers(kept)
    except ValueError as error:
        raise WeightsError(
            f"{record_path} cannot be read ({error}): save the model anew."
        ) from error
    if sha256(weights_path) != record["sha256"]:
        raise WeightsError(
            f"{weights_path} is not the file that {RECORD} describes: its sha256 differs. Save "
            "the model anew."
        )
    try:
        state = load(weights_path.read_bytes())  # whose name need not be UTF-8
        _check_fits(tensors_of(into), state)
        inner_module(into).load_state_dict(state, strict=False)  # what is no tensor stays
    except (SafetensorError, RuntimeError) as error:
        raise WeightsError(f"{weights_path} does not fit the module: {error}") from error
    into.eval()
    warn_of_other_values(tensors_of(into), state, folder)
    saved, own = record.get("modules"), modules_of(into)
    saved = saved if isinstance(saved, dict) else own
    present = facts_beside(into)
    for name in present.keys() & beside.keys():
        saved, own = saved | {name: beside[name]}, own | {name: present[name]}
    warn_of_other_modules(saved, own, folder)
    warn_of_other_answers(into, kept, folder)
    return into


def _check_fits(own: Mapping[str, torch.Tensor], saved: Mapping[str, torch.Tensor]) -> None:
    """Raise an error unless two states have the same names and shapes, and kinds of numbers."""
    for name in sorted(own.keys() | saved.keys()):
        first, second = own.get(name), saved.get(name)
        if first is None or second is None:
            where = "the module lacks" if first is None else "the file lacks"
            raise WeightsError(
                f"The saved model does not fit: {where} {name}. Give a module of the same class "
                "and sizes."
            )
        if first.is_floating_point() != second.is_floating_point():
            raise WeightsError(
                f"The saved model does not fit: {name} is {second.dtype} in the file and "
                f"{first.dtype} in the module."
            )
        if first.shape != second.shape:
            raise WeightsError(
                f"The saved model does not fit: {name} is {tuple(second.shape)} in the file and "
                f"{tuple(first.shape)} in the module."
            )
