"""Labels by hand: clicks become labels, which a file keeps and from which a direction follows."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from forgetting.book.annotation import LabelGrid
from forgetting.book.labels import ABSENT, PRESENT, UNSEEN, ManualLabels
from forgetting.border.adapters import AtTemperature
from forgetting.errors import DataError
from forgetting.methods.direction import find_direction


class Bright(nn.Module):
    """A generator whose images are as bright as the first latent is large."""

    latent_dim = 4

    def __init__(self, offset=0.0):
        super().__init__()
        self.offset = nn.Parameter(torch.tensor(offset))

    def forward(self, latents):
        return torch.sigmoid(3 * latents[:, :1] + self.offset)[:, :, None, None].expand(
            -1, 3, 8, 8
        )


def click(grid):
    """Click the bright pictures of the page."""
    page = grid.labels.latents[grid.start : grid.start + grid.size]
    for picture, latent in zip(grid.pictures, page, strict=False):
        if latent[0] > 1:
            picture.click()


def test_clicked_samples_are_positive_and_give_the_direction(tmp_path):
    labels = ManualLabels(Bright(), "bright", 400, tmp_path / "bright.safetensors")
    grid = LabelGrid(labels)
    while labels.seen < 400:
        click(grid)
        grid.next.click()
    assert torch.equal(labels.answers == PRESENT, labels.latents[:, 0] > 1)
    assert (labels.answers != UNSEEN).all()
    direction = find_direction(labels.labelled_latents(), form="unit")
    assert direction.vector[0] > 0.95
    assert grid.next.disabled
    assert "400 of 400 samples labelled" in grid.words.value


def test_a_second_click_removes_the_mark(tmp_path):
    grid = LabelGrid(ManualLabels(Bright(), "bright", 100, tmp_path / "a.safetensors"))
    grid.pictures[3].click()
    assert grid.marked[3]
    assert "marked" in grid.pictures[3].tooltip
    grid.pictures[3].click()
    grid.next.click()
    assert (grid.labels.answers[:50] == ABSENT).all()


def test_a_reopened_notebook_continues_where_it_was(tmp_path):
    path = tmp_path / "deep" / "bright.safetensors"
    grid = LabelGrid(ManualLabels(Bright(), "bright", 120, path))
    click(grid)
    grid.next.click()
    again = LabelGrid(ManualLabels(Bright(), "bright", 120, path))
    assert again.start == 50
    assert torch.equal(again.labels.answers, grid.labels.answers)
    assert f"{grid.labels.present} show it" in again.words.value
    again.back.click()
    assert again.start == 0
    assert again.marked == [bool(latent[0] > 1) for latent in again.labels.latents[:50]]
    again.next.click()
    longer = ManualLabels(Bright(), "bright", 300, path)
    assert longer.seen == 50
    assert torch.equal(longer.latents[:120], again.labels.latents)
    shorter = ManualLabels(Bright(), "bright", 30, path)
    assert torch.equal(shorter.answers, again.labels.answers[:50])
    stored = ManualLabels.read(Bright(), path)
    assert torch.equal(stored.answers, grid.labels.answers)
    assert stored.feature == "bright"


def test_the_count_follows_every_click(tmp_path):
    grid = LabelGrid(ManualLabels(Bright(), "bright", 120, tmp_path / "a.safetensors"))
    for picture in grid.pictures[:5]:
        picture.click()
    assert "5 marks of this page, 5 show it (10%)" in grid.words.value
    grid.pictures[0].click()
    assert "4 marks of this page, 4 show it (8%)" in grid.words.value
    grid.next.click()
    assert "0 marks of this page, 4 show it (4%)" in grid.words.value


def test_undo_returns_to_the_previous_page_with_its_marks(tmp_path):
    grid = LabelGrid(ManualLabels(Bright(), "bright", 120, tmp_path / "a.safetensors"))
    click(grid)
    marked = list(grid.marked)
    grid.next.click()
    grid.back.click()
    assert grid.start == 0
    assert grid.labels.seen == 0
    assert grid.marked == marked
    assert ManualLabels(Bright(), "bright", 120, tmp_path / "a.safetensors").seen == 0
    assert grid.back.disabled


def test_the_last_page_may_be_shorter(tmp_path):
    grid = LabelGrid(ManualLabels(Bright(), "bright", 60, tmp_path / "a.safetensors"))
    grid.next.click()
    assert [p.layout.visibility for p in grid.pictures].count("visible") == 10
    grid.next.click()
    assert grid.labels.seen == 60


def test_too_few_positives_are_refused_with_their_number(tmp_path):
    labels = ManualLabels(Bright(), "bright", 60, tmp_path / "a.safetensors")
    labels.answer([True] * 3 + [False] * 47)
    with pytest.raises(DataError, match="3 of the 50 samples seen show bright"):
        labels.labelled_latents()


def test_labels_for_another_feature_or_generator_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    ManualLabels(Bright(), "bright", 60, path).answer([True] * 50)
    with pytest.raises(DataError, match="another feature"):
        ManualLabels(Bright(), "dark", 60, path)
    with pytest.raises(DataError, match="another generator"):
        ManualLabels(Bright(1.0), "bright", 60, path)
    with pytest.raises(DataError, match="labels of other images"):
        ManualLabels(AtTemperature(Bright(), 0.5), "bright", 60, path)
    tensors = {"answers": load_file(path)["answers"]}  # of an earlier version
    save_file(tensors, path, ManualLabels(Bright(), "bright", 60, path)._about)
    assert ManualLabels.read(Bright(), path).seen == 50
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="holds no labels"):
        ManualLabels(Bright(), "bright", 60, path)


def test_of_two_notebooks_that_label_into_one_file_the_second_is_refused(tmp_path):
    path = tmp_path / "both.safetensors"
    first, second = (LabelGrid(ManualLabels(Bright(), "bright", 120, path)) for _ in range(2))
    first.marked[3] = True
    first.turn()
    first.turn()
    second.marked[5] = True
    second.turn()
    assert "another one labels into it" in second.words.value
    assert second.labels.seen == second.start == 0
    assert second.marked[5]
    kept = ManualLabels(Bright(), "bright", 120, path)
    assert (kept.seen, kept.present) == (100, 1)
    with pytest.raises(DataError, match="has changed since this notebook read it"):
        second.labels.answer([True])
    first.undo()
    assert ManualLabels(Bright(), "bright", 120, path).seen == 50
    third = LabelGrid(ManualLabels(Bright(), "bright", 120, path))
    third.turn()
    first.undo()
    assert "another one labels into it" in first.words.value
    assert first.labels.seen == 50


@pytest.mark.parametrize(
    ("change", "about"),
    [
        (lambda answers: answers.index_fill(0, torch.tensor([7]), UNSEEN), {}),  # a hole
        (lambda answers: answers.index_fill(0, torch.tensor([7]), 2), {}),
        (lambda answers: answers[None], {}),
        (lambda answers: answers, {"seed": None}),
    ],
)
def test_labels_that_were_edited_by_hand_are_refused(tmp_path, change, about):
    path = tmp_path / "a.safetensors"
    labels = ManualLabels(Bright(), "bright", 60, path)
    labels.answer([True] * 20 + [False] * 20)
    kept = {key: value for key, value in (labels._about | about).items() if value}
    save_file({"answers": change(load_file(path)["answers"])}, path, kept)
    with pytest.raises(DataError, match="holds no labels as a notebook writes them"):
        ManualLabels.read(Bright(), path)
