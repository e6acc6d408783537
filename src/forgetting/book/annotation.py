"""Labelling in a notebook: a person clicks the samples of a generator that show a feature.

`LabelGrid` shows the samples as pictures. `ManualLabels` keeps the labels after every page, so
that a closed notebook loses nothing.
"""

import base64
import io

import ipywidgets as widgets
import torch
from PIL import Image

from forgetting.book.labels import ManualLabels
from forgetting.border.inference import generate
from forgetting.errors import DataError

__all__ = ["LabelGrid", "ManualLabels"]


class LabelGrid:
    """Pages of samples: a click, or Tab and Space, marks a sample that shows the feature.

    Attributes
    ----------
    labels : ManualLabels
    size : int
        Samples on a page.
    marked : list of bool
        For each sample of the page, whether it is marked.
    widget : ipywidgets.VBox
        What a notebook displays.
    """

    def __init__(
        self, labels: ManualLabels, rows: int = 5, columns: int = 10, px: int = 72
    ) -> None:
        """Show the first page of samples without a label.

        Parameters
        ----------
        labels : ManualLabels
            Receives the labels.
        rows, columns : int
            Size of a page.
        px : int
            Width and height of a picture in pixels.
        """
        self.labels, self.size = labels, rows * columns
        self.pictures = [widgets.Button(description="") for _ in range(self.size)]
        for number, picture in enumerate(self.pictures):
            picture.layout = widgets.Layout(width=f"{px}px", height=f"{px}px", margin="1px")
            picture.add_class(f"forgetting-{number}")
            picture.on_click(self._toggle)
        self.next = widgets.Button(description="Next", button_style="primary")
        self.back = widgets.Button(description="Undo")
        self.next.on_click(lambda _: self.turn())
        self.back.on_click(lambda _: self.undo())
        self.progress = widgets.IntProgress(max=len(labels.answers))
        self.words, self._style = widgets.HTML(), widgets.HTML()
        self.marked = [False] * self.size
        layout = widgets.Layout(grid_template_columns=f"repeat({columns}, {px + 2}px)")
        self.widget = widgets.VBox(
            [
                self._style,
                widgets.HTML(
                    f"Click every picture that shows <b>{labels.feature}</b>, then <b>Next</b>. "
                    "With the keyboard: Tab to move, Space to mark."
                ),
                widgets.GridBox(self.pictures, layout=layout),
                widgets.HBox([self.next, self.back, self.progress, self.words]),
            ]
        )
        self._show()

    @property
    def start(self) -> int:
        """Number of the page's first sample, which is the first without a label."""
        return self.labels.seen

    def _toggle(self, button: widgets.Button) -> None:
        number = self.pictures.index(button)
        self.marked[number] = not self.marked[number]
        self._mark(number)
        self._count()

    def _mark(self, number: int) -> None:
        """Show by the border and the tooltip of a picture whether it is marked."""
        picture, is_marked = self.pictures[number], self.marked[number]
        picture.layout.border = "4px solid #d1495b" if is_marked else "4px solid transparent"
        picture.tooltip = f"sample {self.start + number + 1}{', marked' if is_marked else ''}"

    def turn(self) -> None:
        """Keep the labels of the page, and show the next one."""
        end = min(self.start + self.size, len(self.labels.answers))
        if self.start == end:
            return
        try:
            self.labels.answer(self.marked[: end - self.start])
        except DataError as error:
            self.words.value = str(error)  # an error in a click is shown nowhere
        else:
            self._show()

    def undo(self) -> None:
        """Return to the previous page with its marks, also if it was labelled on another day."""
        if not self.start:
            return
        try:
            marked = self.labels.undo((self.start - 1) % self.size + 1)
        except DataError as error:
            self.words.value = str(error)
        else:
            self._show(marked)

    def _show(self, marked: list[bool] | None = None) -> None:
        """Show the page that begins with the first sample without a label."""
        latents = self.labels.latents[self.start : self.start + self.size]
        images = generate(self.labels.generator, latents) if len(latents) else ()
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
        """Show how many samples have the feature so far, with the marks of this page."""
        total = len(self.labels.answers)
        n_on_page, n_marked = min(self.size, total - self.start), sum(self.marked)
        n_present = self.labels.present + n_marked
        self.words.value = (
            f"{self.start} of {total} samples labelled. With the {n_marked} marks of this page, "
            f"{n_present} show it ({n_present / (self.start + n_on_page):.0%})."
        )


def _url(image: torch.Tensor) -> str:
    """Return an image (C, H, W) in [0, 1] as a data URL."""
    values = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(values.squeeze(2) if values.shape[2] == 1 else values).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
