"""Collecting by hand: a person says of samples which show a feature, in a grid of pictures.

`ManualLabels` is what is known so far; it is kept in a file at every answer, so that a closed
notebook loses nothing. `LabelGrid` is the pictures to click, for a notebook (ipywidgets).
"""

import base64
import hashlib
import io
from pathlib import Path

import ipywidgets as widgets
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from forgetting.errors import DataError
from forgetting.files import replacing
from forgetting.inference import generate
from forgetting.methods.direction import MIN_POSITIVES, LabelledLatents

UNSEEN, ABSENT, PRESENT = -1, 0, 1


class ManualLabels:
    """Samples of a generator and what a person said of each.

    Attributes
    ----------
    latents : (n, latent_dim), of samples in the order in which they are shown
    answers : (n,) int8, `UNSEEN`, `ABSENT` or `PRESENT`
    """

    def __init__(self, generator: nn.Module, feature: str, n: int, path: Path, seed: int = 0):
        """Begin, or go on where `path` was left.

        Parameters
        ----------
        generator : `latent_dim` and `forward(z) -> images`
        feature : what the person looks for, in words
        n : samples at most; not fewer than the file has answers about
        path : of the safetensors file that keeps the answers

        Raises
        ------
        DataError
            The file is spoilt, or holds answers about another generator or feature.
        """
        self.generator, self.feature, self.path = generator, feature, path
        weights = hashlib.blake2b(digest_size=16)
        for value in generator.state_dict().values():
            weights.update(value.detach().cpu().contiguous().numpy().tobytes())
        self._about = {"feature": feature, "generator": weights.hexdigest(), "seed": str(seed)}
        known = self._known() if path.is_file() else torch.zeros(0, dtype=torch.int8)
        n = max(n, int((known != UNSEEN).sum()))
        self.latents = _latents(n, generator.latent_dim, seed)
        self.answers = torch.full((n,), UNSEEN, dtype=torch.int8)
        self.answers[: len(known)] = known[:n]

    @classmethod
    def read(cls, generator: nn.Module, path: Path) -> "ManualLabels":
        """Return what a file holds about a generator.

        Raises
        ------
        DataError
            There is no such file, or it holds answers about another generator.
        """
        about, answers = _kept(path)
        return cls(generator, about["feature"], len(answers), path, int(about["seed"]))

    def _known(self) -> torch.Tensor:
        about, answers = _kept(self.path)
        different = [name for name, value in self._about.items() if about.get(name) != value]
        if different:
            raise DataError(
                f"{self.path} holds answers about another {' and '.join(different)}: name another "
                "file, or delete it."
            )
        return answers

    @property
    def seen(self) -> int:
        """How many samples were answered about."""
        return int((self.answers != UNSEEN).sum())

    @property
    def present(self) -> int:
        """How many of them show the feature."""
        return int((self.answers == PRESENT).sum())

    def answer(self, shows: list[bool]) -> None:
        """Note which of the next samples show the feature, and keep it."""
        start = self.seen
        self.answers[start : start + len(shows)] = torch.tensor(shows, dtype=torch.int8)
        self._write()

    def undo(self, n: int) -> list[bool]:
        """Take the last n answers back, or as many as there are, and return what they said."""
        last = slice(max(self.seen - n, 0), self.seen)
        said = (self.answers[last] == PRESENT).tolist()
        self.answers[last] = UNSEEN
        self._write()
        return said

    def _write(self) -> None:
        with replacing(self.path) as temporary:
            save_file({"answers": self.answers}, temporary, metadata=self._about)

    def labelled_latents(self) -> LabelledLatents:
        """Return the latents that were answered about, by answer.

        Raises
        ------
        DataError
            Fewer than `MIN_POSITIVES` of either kind are there.
        """
        found = LabelledLatents(
            self.latents[self.answers == PRESENT], self.latents[self.answers == ABSENT]
        )
        for kind, some in (("show", found.positive), ("lack", found.negative)):
            if len(some) < MIN_POSITIVES:
                raise DataError(
                    f"{len(some)} of the {self.seen} samples seen {kind} {self.feature}: a "
                    f"direction needs {MIN_POSITIVES} that do, and wants some hundred."
                )
        return found


class LabelGrid:
    """Pages of samples; a click (or Tab and Space) marks those that show the feature."""

    def __init__(self, found: ManualLabels, rows: int = 5, columns: int = 10, px: int = 72):
        self.found, self.size = found, rows * columns
        self.pictures = [widgets.Button(description="") for _ in range(self.size)]
        for number, picture in enumerate(self.pictures):
            picture.layout = widgets.Layout(width=f"{px}px", height=f"{px}px", margin="1px")
            picture.add_class(f"forgetting-{number}")
            picture.on_click(self._toggle)
        self.next = widgets.Button(description="Next", button_style="primary")
        self.back = widgets.Button(description="Undo")
        self.next.on_click(lambda _: self.turn())
        self.back.on_click(lambda _: self.undo())
        self.progress = widgets.IntProgress(max=len(found.answers))
        self.words, self._style = widgets.HTML(), widgets.HTML()
        self.marked = [False] * self.size
        layout = widgets.Layout(grid_template_columns=f"repeat({columns}, {px + 2}px)")
        self.widget = widgets.VBox(
            [
                self._style,
                widgets.HTML(
                    f"Click every picture that shows <b>{found.feature}</b>, then <b>Next</b>. "
                    "With the keyboard: Tab to go on, Space to mark."
                ),
                widgets.GridBox(self.pictures, layout=layout),
                widgets.HBox([self.next, self.back, self.progress, self.words]),
            ]
        )
        self._show()

    @property
    def start(self) -> int:
        """The first sample of the page: the first that was not answered about."""
        return self.found.seen

    def _toggle(self, button: widgets.Button) -> None:
        number = self.pictures.index(button)
        self.marked[number] = not self.marked[number]
        self._mark(number)
        self._count()

    def _mark(self, number: int) -> None:
        """Say by its border and its name whether a picture is marked."""
        picture, marked = self.pictures[number], self.marked[number]
        picture.layout.border = "4px solid #d1495b" if marked else "4px solid transparent"
        picture.tooltip = f"sample {self.start + number + 1}{', marked' if marked else ''}"

    def turn(self) -> None:
        """Keep the page's answers and show the next page."""
        end = min(self.start + self.size, len(self.found.answers))
        if self.start < end:
            self.found.answer(self.marked[: end - self.start])
            self._show()

    def undo(self) -> None:
        """Go back to the page before, with its marks; also to one of another day."""
        if self.start:
            self._show(self.found.undo((self.start - 1) % self.size + 1))

    def _show(self, marked: list[bool] | None = None) -> None:
        latents = self.found.latents[self.start : self.start + self.size]
        images = generate(self.found.generator, latents) if len(latents) else []
        rules = [
            f".forgetting-{number} {{background: url({_url(image)}) center / contain no-repeat}}"
            for number, image in enumerate(images)
        ]
        self._style.value = f"<style>{' '.join(rules)}</style>"
        self.marked = [*(marked or []), *[False] * self.size][: self.size]
        for number, picture in enumerate(self.pictures):
            picture.layout.visibility = "visible" if number < len(latents) else "hidden"
            self._mark(number)
        self.next.disabled = not len(latents)
        self.back.disabled = not self.start
        self.progress.value = self.start
        self._count()

    def _count(self) -> None:
        """Say how many show the feature so far, those marked on this page included."""
        total = len(self.found.answers)
        on_page, marked = min(self.size, total - self.start), sum(self.marked)
        present = self.found.present + marked
        self.words.value = (
            f"{self.start} of {total} seen; with this page's {marked} marks {present} show it, "
            f"{present / (self.start + on_page):.0%}"
        )


def _kept(path: Path) -> tuple[dict[str, str], torch.Tensor]:
    try:
        with safe_open(path, framework="pt") as kept:
            return kept.metadata(), kept.get_tensor("answers")
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{path} is no collection ({error}): make one with collect_by_hand.ipynb."
        ) from error


def _latents(n: int, dim: int, seed: int) -> torch.Tensor:
    """Return latents (n, dim) that begin alike for every n."""
    random = (torch.Generator().manual_seed(seed + i) for i in range(0, n, 50))
    return torch.cat([torch.randn(50, dim, generator=one) for one in random])[:n]


def _url(image: torch.Tensor) -> str:
    """Return an image (C, H, W) in [0, 1] as a data URL."""
    values = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(values.squeeze(2) if values.shape[2] == 1 else values).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
