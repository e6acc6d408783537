"""The weights that the study trained: a name becomes a verified model.

An entry is three files: NAME.safetensors (weights), NAME.json (what the model is, how it was
trained, the sha256 of the weights) and NAME.md (the model card). Pickles are never read. Of a
generator only what generates is kept: a VAE's decoder, the average of a GAN's generator.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from forgetting.errors import WeightsError
from forgetting.files import ROOT, replacing, write_text
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.models.embedding import Embedding, EmbeddingConfig
from forgetting.models.gan import GANConfig, Generator
from forgetting.models.glow import Glow, GlowConfig
from forgetting.models.vae import Decoder, VAEConfig

FOLDER = ROOT / "zoo"

KINDS: dict[str, tuple[type[nn.Module], type]] = {
    "glow": (Glow, GlowConfig),
    "vae": (Decoder, VAEConfig),
    "gan": (Generator, GANConfig),
    "classifier": (Classifier, ClassifierConfig),
    "embedding": (Embedding, EmbeddingConfig),
}


def names(folder: Path = FOLDER) -> list[str]:
    """Return the names of all entries."""
    return sorted(path.stem for path in folder.glob("*.json"))


def record(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Return what NAME.json says.

    Raises
    ------
    WeightsError
        There is no such entry, or its record cannot be read.
    """
    path = folder / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = ", ".join(names(folder)) or "nothing yet"
        raise WeightsError(f"The zoo has no {name!r}. It has: {known}.") from error
    except (OSError, json.JSONDecodeError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); restore it from git.") from error


def tensors(name: str, folder: Path = FOLDER) -> dict[str, torch.Tensor]:
    """Return the tensors of an entry after their hash was verified.

    Raises
    ------
    WeightsError
        The file is missing, corrupt, or not the one that NAME.json describes.
    """
    expected = record(name, folder)["sha256"]
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        raise WeightsError(
            f"The weights {path} are missing. Restore them from git, or train them: "
            f"`forgetting train {name}`."
        )
    found = sha256(path)
    if found != expected:
        raise WeightsError(
            f"The weights {path} have sha256 {found[:12]}..., but {name}.json says "
            f"{expected[:12]}...: the file is corrupt or another. Restore it from git."
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError(
            f"{path} is not a safetensors file ({error}); pickled weights are never read. "
            "Convert them with safetensors.torch.save_file."
        ) from error


def load(name: str, folder: Path = FOLDER) -> nn.Module:
    """Return a model of the zoo, ready to be used: in eval mode, without gradients.

    Raises
    ------
    WeightsError
        There is no such entry, or its weights are missing, corrupt or of another model.
    """
    entry = record(name, folder)
    if entry.get("kind") not in KINDS:
        raise WeightsError(f"{name!r} holds {entry.get('kind')}, not a model; see zoo/{name}.md.")
    model_class, config_class = KINDS[entry["kind"]]
    try:
        with torch.random.fork_rng(devices=[]):
            model = model_class(config_class(**entry["config"]))
        state = tensors(name, folder)
        for part, other in entry.get("parts", {}).items():
            state |= {f"{part}.{key}": value for key, value in tensors(other, folder).items()}
        model.load_state_dict(state)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"The weights of {name!r} do not fit the model that {name}.json describes: {error}"
        ) from error
    return model.eval().requires_grad_(False)


def save(
    name: str,
    model: nn.Module | dict[str, torch.Tensor],
    entry: dict[str, Any],
    card: str,
    folder: Path = FOLDER,
) -> None:
    """Write an entry: weights, record (with the sha256 added) and card.

    Parameters
    ----------
    entry : at least "kind"; for a model also "config". "parts" names other entries by the module
        that each of them is: their tensors are not written again
    card : the model card, Markdown
    """
    state = model.state_dict() if isinstance(model, nn.Module) else model
    parts = tuple(f"{part}." for part in entry.get("parts", {}))
    own = {key: value.contiguous() for key, value in state.items() if not key.startswith(parts)}
    path = folder / f"{name}.safetensors"
    with replacing(path) as temporary:
        save_file(own, temporary)
    entry = {**entry, "sha256": sha256(path)}
    write_text(folder / f"{name}.json", json.dumps(entry, indent=1) + "\n")
    write_text(folder / f"{name}.md", card)


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
