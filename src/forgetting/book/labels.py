"""Labels by hand: which samples of a generator show a feature, as a person sees it.

`ManualLabels` holds the labels, and writes them to a file after every change.
"""

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from forgetting.border.inference import generate
from forgetting.errors import DataError
from forgetting.foundation.files import check_ends, replacing
from forgetting.methods.direction import MIN_POSITIVES, LabelledLatents
from forgetting.zoo.same_module import bytes_of

UNSEEN, ABSENT, PRESENT = -1, 0, 1
"""Labels of a sample: not seen yet, without the feature, with it."""

CHUNK = 50
"""Latents that one seed gives, so that latents do not depend on how many are drawn."""

N_KEPT = 4
"""Images that a file keeps beside the labels: equal weights may draw others, as at 0.7 and 1."""

LONGEST_SEED = 19
"""Digits from which on a seed may be more than torch takes."""

ALIKE = 0.01
"""Largest mean difference of a pixel between kept images and those that are drawn now."""


class ManualLabels:
    """Samples of a generator with the labels that a person has given them.

    Attributes
    ----------
    generator : nn.Module
    feature : str
        What the person looks for, in words.
    path : Path
        File of the labels.
    latents : torch.Tensor
        (n, latent_dim), in the order in which the samples are shown.
    answers : torch.Tensor
        (n,) int8 labels: `UNSEEN`, `ABSENT` or `PRESENT`.
    """

    def __init__(self, generator: Any, feature: str, n: int, path: Path, seed: int = 0) -> None:
        """Begin to label, or continue with the labels in a file.

        Parameters
        ----------
        generator : nn.Module
            A `Generator`.
        feature : str
            What the person looks for, in words.
        n : int
            Largest number of samples; more if the file has more labels.
        path : Path
            Safetensors file of the labels.
        seed : int
            Of the latents.

        Raises
        ------
        DataError
            The file is unreadable, or its labels belong to another generator, to a feature of
            another name, or to other images.
        """
        self.generator, self.feature, self.path = generator, feature, path
        weights = hashlib.blake2b(digest_size=16)
        for value in generator.state_dict().values():
            weights.update(bytes_of(value))
        self._about = {"feature": feature, "generator": weights.hexdigest(), "seed": str(seed)}
        tensors = self._stored() if path.is_file() else {}
        stored = tensors.get("answers", torch.zeros(0, dtype=torch.int8))
        n = max(n, int((stored != UNSEEN).sum()))
        self.latents = _latents(n, generator.latent_dim, seed)
        self._images = generate(generator, self.latents[:N_KEPT])
        kept = tensors.get("images", self._images[:0])  # an older file has none
        drawn = self._images[: len(kept)]
        if drawn.shape != kept.shape or (len(kept) and (drawn - kept).abs().mean() > ALIKE):
            raise DataError(
                f"{path} holds labels of other images than this generator draws of the same "
                "latents: give the generator as it was labelled, such as at its temperature."
            )
        self.answers = torch.full((n,), UNSEEN, dtype=torch.int8)
        self.answers[: len(stored)] = stored[:n]
        self._written = stored

    @classmethod
    def read(cls, generator: nn.Module, path: Path) -> "ManualLabels":
        """Return the labels in a file.

        Parameters
        ----------
        generator : nn.Module
            The generator whose samples were labelled.
        path : Path
            Safetensors file of the labels.

        Returns
        -------
        ManualLabels

        Raises
        ------
        DataError
            The file does not exist, or its labels belong to another generator.
        """
        about, tensors = _read(path)
        n = len(tensors["answers"])
        return cls(generator, about["feature"], n, path, int(about["seed"]))

    def _stored(self) -> dict[str, torch.Tensor]:
        about, tensors = _read(self.path)
        different = [name for name, value in self._about.items() if about.get(name) != value]
        if different:
            raise DataError(
                f"{self.path} holds labels for another {' and '.join(different)}: name another "
                "file, or delete this one."
            )
        return tensors

    @property
    def seen(self) -> int:
        """Number of samples with a label."""
        return int((self.answers != UNSEEN).sum())

    @property
    def present(self) -> int:
        """Number of samples that show the feature."""
        return int((self.answers == PRESENT).sum())

    def answer(self, shows: list[bool]) -> None:
        """Label the next samples, and write the file.

        Parameters
        ----------
        shows : list of bool
            For each of the next samples, whether it shows the feature.

        Raises
        ------
        DataError
            Another notebook has labelled into the file meanwhile.
        """
        self._check_file()
        start = self.seen
        self.answers[start : start + len(shows)] = torch.tensor(shows, dtype=torch.int8)
        self._write()

    def undo(self, n: int) -> list[bool]:
        """Remove the last labels, and write the file.

        Parameters
        ----------
        n : int
            Number of labels to remove; all, if there are fewer.

        Returns
        -------
        list of bool
            For each removed label, whether the sample showed the feature.

        Raises
        ------
        DataError
            Another notebook has labelled into the file meanwhile.
        """
        self._check_file()
        last = slice(max(self.seen - n, 0), self.seen)
        removed: list[bool] = (self.answers[last] == PRESENT).tolist()
        self.answers[last] = UNSEEN
        self._write()
        return removed

    def _check_file(self) -> None:
        """Raise an error if the file holds other labels than were read or written last.

        Raises
        ------
        DataError
            Another notebook has labelled meanwhile.
        """
        present = _read(self.path)[1]["answers"] if self.path.is_file() else torch.zeros(0)
        if self._written.tolist() != present.tolist():
            raise DataError(
                f"{self.path} has changed since this notebook read it: another one labels into "
                "it. Close one of them, and run the other from its first cell to go on from there."
            )

    def _write(self) -> None:
        self._written = self.answers.clone()
        with replacing(self.path) as temporary:
            tensors = {"answers": self.answers, "images": self._images}
            save_file(tensors, temporary, metadata=self._about)

    def labelled_latents(self) -> LabelledLatents:
        """Return the labelled latents, sorted by label.

        Returns
        -------
        LabelledLatents

        Raises
        ------
        DataError
            Fewer than `MIN_POSITIVES` samples show the feature, or lack it.
        """
        labelled = LabelledLatents(
            self.latents[self.answers == PRESENT], self.latents[self.answers == ABSENT]
        )
        for verb, latents in (("show", labelled.positive), ("lack", labelled.negative)):
            if len(latents) < MIN_POSITIVES:
                raise DataError(
                    f"{len(latents)} of the {self.seen} samples seen {verb} {self.feature}: a "
                    f"direction needs at least {MIN_POSITIVES}, and better some hundred."
                )
        return labelled


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Return what a file holds: about what the labels are, and `answers` and `images`."""
    try:
        check_ends(path)
        with safe_open(path, framework="pt") as stored:
            names = {"answers", *stored.keys()}
            about = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in names}
    except (OSError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise DataError(
            f"{path} holds no labels ({error}): make such a file with collect_by_hand.ipynb."
        ) from error
    answers = tensors["answers"]
    is_label = torch.isin(answers, torch.tensor([UNSEEN, ABSENT, PRESENT], dtype=answers.dtype))
    n_seen = int((answers != UNSEEN).sum())
    is_in_order = answers.ndim == 1 and bool((answers[:n_seen] != UNSEEN).all())
    is_of_images = tensors.get("images", torch.zeros(0)).dtype == torch.float32
    is_seed = (seed := about.get("seed", "")).isdecimal() and len(seed) < LONGEST_SEED
    if not (is_label.all() and is_in_order and is_of_images and is_seed and "feature" in about):
        raise DataError(
            f"{path} holds no labels as a notebook writes them: it needs a feature, a seed, and "
            f"labels {ABSENT} or {PRESENT} in the order of the samples, then {UNSEEN}. Restore "
            "the file, or label anew with collect_by_hand.ipynb."
        )
    return about, tensors


def _latents(n: int, dim: int, seed: int) -> torch.Tensor:
    """Return latents (n, dim); a larger n adds latents and changes none."""
    streams = (torch.Generator().manual_seed(seed + i) for i in range(0, n, CHUNK))
    return torch.cat([torch.randn(CHUNK, dim, generator=stream) for stream in streams])[:n]
