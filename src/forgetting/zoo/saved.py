"""A tuned model in a folder of its owner: weights, record, card and picture, and the way back.

The folder holds `weights.safetensors`, `record.json` (with the sha256 of the weights), `README.md`
and, of a generator, `samples.png`. Pickles are never read.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from forgetting.border.adapters import AdaptedClassifier, AdaptedFlow, AdaptedGenerator
from forgetting.border.answers import uncompiled
from forgetting.errors import DataWarning, ForgettingError, WeightsError
from forgetting.foundation.files import check_writable, replacing_all, sha256

WEIGHTS, RECORD, CARD, PICTURE = "weights.safetensors", "record.json", "README.md", "samples.png"

ADAPTERS = (AdaptedFlow, AdaptedGenerator, AdaptedClassifier, nn.DataParallel)
"""Modules that hold the model under the name `module`."""

CONSTANTS = (bool, int, float, str, tuple)
"""Types of the attributes of a module that count as its constants."""

M = TypeVar("M", bound=nn.Module)


def inner_module(model: nn.Module) -> nn.Module:
    """Return the module that adapters hold, or a model that is in none."""
    while isinstance(model, ADAPTERS):
        model = model.module
    return uncompiled(model)


def state_digest(model: nn.Module) -> str:
    """Return the sha256 of a model's state: names, number formats, shapes and values."""
    digest = hashlib.sha256()
    for name, value in sorted(_tensors(model).items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(_bytes(value))
    return digest.hexdigest()


def check_new(folder: Path) -> None:
    """Raise an error if a folder holds a model already, or cannot be written to.

    Raises
    ------
    ForgettingError
        One of them is so.
    """
    if (folder / RECORD).exists():
        raise ForgettingError(f"{folder} holds a model already: name another folder, or move it.")
    is_new = not folder.exists()
    check_writable(folder)
    if is_new:
        folder.rmdir()  # a call that is refused leaves nothing


def save_model(
    folder: Path,
    model: nn.Module,
    record: Mapping[str, Any],
    card: str,
    picture: torch.Tensor | None = None,
) -> None:
    """Write a model to a folder, all of it or nothing.

    Parameters
    ----------
    folder : Path
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
    names = (*((PICTURE,) if picture is not None else ()), CARD, WEIGHTS, RECORD)
    check_new(folder)
    own = {n: value.detach().cpu().clone().contiguous() for n, value in _tensors(model).items()}
    with replacing_all([folder / name for name in names]) as temporaries:
        card_file, weights_file, record_file = temporaries[-3:]
        if picture is not None:
            Image.fromarray(picture.numpy()).save(temporaries[0], format="PNG")
        card_file.write_text(card, encoding="utf-8")
        save_file(own, weights_file)
        full = {**record, "sha256": sha256(weights_file), "modules": _modules(model)}
        record_file.write_text(json.dumps(full, indent=1) + "\n", encoding="utf-8")


def read_report(record: Path) -> str:
    """Return what a record in a folder of its owner says, as a text."""
    report: str = json.loads(record.read_text(encoding="utf-8"))["report"]
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
    folder = Path(folder)
    record_path, weights_path = folder / RECORD, folder / WEIGHTS
    if not record_path.is_file() or not weights_path.is_file():
        raise WeightsError(
            f"{folder} holds no saved model: it needs {WEIGHTS} and {RECORD}, as `result.save` "
            "writes them."
        )
    try:
        record = json.loads(record_path.read_text(encoding="utf-8"))
        expected = record["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{record_path} cannot be read ({error}): save the model anew."
        ) from error
    if sha256(weights_path) != expected:
        raise WeightsError(
            f"{weights_path} is not the file that {RECORD} describes: its sha256 differs. Save "
            "the model anew."
        )
    try:
        state = load_file(weights_path)
        _check_fits(_tensors(into), state)
        inner_module(into).load_state_dict(state, strict=False)  # what is no tensor stays
    except (SafetensorError, RuntimeError) as error:
        raise WeightsError(f"{weights_path} does not fit the module: {error}") from error
    into.eval()
    _warn_of_other_modules(record.get("modules"), _modules(into), folder)
    return into


def _tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the tensors of a model's state, without an adapter around it.

    What a module adds with `get_extra_state` is no tensor, and not tuned.
    """
    state = inner_module(model).state_dict()
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


def _bytes(tensor: torch.Tensor) -> bytes:
    values = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    return values.numpy().tobytes()


def _modules(model: nn.Module) -> dict[str, str]:
    """Return what each part of a model computes with beside its weights, as a text.

    It is the class, the constants, the buffers that are not saved, and the number of hooks.
    """
    return {name: _text(module) for name, module in inner_module(model).named_modules()}


def _text(module: nn.Module) -> str:
    """Return a module's class, constants, buffers that are not saved, and number of hooks."""
    facts = []
    for name, value in vars(module).items():
        if not name.startswith("_") and name != "training" and isinstance(value, CONSTANTS):
            facts.append(f"{name}={value!r}")
    for name in sorted(module._non_persistent_buffers_set):
        buffer = module._buffers[name]
        if buffer is not None:
            facts.append(f"{name}={hashlib.sha256(_bytes(buffer)).hexdigest()[:8]}")
    if n_hooks := len(module._forward_hooks) + len(module._forward_pre_hooks):
        facts.append(f"hooks={n_hooks}")
    return f"{type(module).__name__}({', '.join(facts)})"


def _warn_of_other_modules(saved: Any, own: Mapping[str, str], folder: Path) -> None:
    """Warn if the modules of a saved model, where its record has them, were others."""
    if not isinstance(saved, dict) or saved == own:
        return
    differing = [name for name in {**saved, **own} if saved.get(name) != own.get(name)]
    name = differing[0]
    warnings.warn(
        f"The weights of {folder} fit the module, but the saved model was another: "
        f"{len(differing)} of its parts differ, as {name or 'the model'}, which was "
        f"{saved.get(name, 'missing')} and is {own.get(name, 'missing')}. Answers will be others, "
        "if what differs counts.",
        DataWarning,
        stacklevel=3,
    )


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
