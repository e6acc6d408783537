"""Collecting by hand: clicks become answers, which survive, come back, and give a direction."""

import pytest
import torch
from torch import nn

from forgetting.book.annotation import ABSENT, PRESENT, UNSEEN, LabelGrid, ManualLabels
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
    """Click what a person who looks for bright pictures would click on the page."""
    page = grid.found.latents[grid.start : grid.start + grid.size]
    for picture, latent in zip(grid.pictures, page, strict=False):
        if latent[0] > 1:
            picture.click()


def test_what_is_clicked_is_positive_and_gives_the_direction(tmp_path):
    found = ManualLabels(Bright(), "bright", 400, tmp_path / "bright.safetensors")
    grid = LabelGrid(found)
    while found.seen < 400:
        click(grid)
        grid.next.click()
    assert torch.equal(found.answers == PRESENT, found.latents[:, 0] > 1)
    assert (found.answers != UNSEEN).all()
    direction = find_direction(found.labelled_latents(), form="unit")
    assert direction.vector[0] > 0.95
    assert grid.next.disabled
    assert "400 of 400 seen" in grid.words.value


def test_a_second_click_takes_the_mark_away(tmp_path):
    grid = LabelGrid(ManualLabels(Bright(), "bright", 100, tmp_path / "a.safetensors"))
    grid.pictures[3].click()
    assert grid.marked[3]
    assert "marked" in grid.pictures[3].tooltip
    grid.pictures[3].click()
    grid.next.click()
    assert (grid.found.answers[:50] == ABSENT).all()


def test_a_closed_notebook_goes_on_where_it_was(tmp_path):
    path = tmp_path / "deep" / "bright.safetensors"
    grid = LabelGrid(ManualLabels(Bright(), "bright", 120, path))
    click(grid)
    grid.next.click()
    again = LabelGrid(ManualLabels(Bright(), "bright", 120, path))
    assert again.start == 50
    assert torch.equal(again.found.answers, grid.found.answers)
    assert f"{grid.found.present} show it" in again.words.value
    again.back.click()
    assert again.start == 0
    assert again.marked == [bool(latent[0] > 1) for latent in again.found.latents[:50]]
    again.next.click()
    longer = ManualLabels(Bright(), "bright", 300, path)
    assert longer.seen == 50
    assert torch.equal(longer.latents[:120], again.found.latents)
    shorter = ManualLabels(Bright(), "bright", 30, path)
    assert torch.equal(shorter.answers, again.found.answers[:50])
    known = ManualLabels.read(Bright(), path)
    assert torch.equal(known.answers, grid.found.answers)
    assert known.feature == "bright"


def test_the_balance_follows_every_click(tmp_path):
    grid = LabelGrid(ManualLabels(Bright(), "bright", 120, tmp_path / "a.safetensors"))
    for picture in grid.pictures[:5]:
        picture.click()
    assert "5 marks 5 show it, 10%" in grid.words.value
    grid.pictures[0].click()
    assert "4 marks 4 show it, 8%" in grid.words.value
    grid.next.click()
    assert "0 marks 4 show it, 4%" in grid.words.value


def test_undo_goes_back_a_page_with_its_marks(tmp_path):
    grid = LabelGrid(ManualLabels(Bright(), "bright", 120, tmp_path / "a.safetensors"))
    click(grid)
    marked = list(grid.marked)
    grid.next.click()
    grid.back.click()
    assert grid.start == 0
    assert grid.found.seen == 0
    assert grid.marked == marked
    assert ManualLabels(Bright(), "bright", 120, tmp_path / "a.safetensors").seen == 0
    assert grid.back.disabled


def test_the_last_page_may_be_shorter(tmp_path):
    grid = LabelGrid(ManualLabels(Bright(), "bright", 60, tmp_path / "a.safetensors"))
    grid.next.click()
    assert [p.layout.visibility for p in grid.pictures].count("visible") == 10
    grid.next.click()
    assert grid.found.seen == 60


def test_too_few_positives_are_said_with_the_number_that_is_needed(tmp_path):
    found = ManualLabels(Bright(), "bright", 60, tmp_path / "a.safetensors")
    found.answer([True] * 3 + [False] * 47)
    with pytest.raises(DataError, match="3 of the 50 samples seen show bright"):
        found.labelled_latents()


def test_answers_about_something_else_are_not_mixed_in(tmp_path):
    path = tmp_path / "a.safetensors"
    ManualLabels(Bright(), "bright", 60, path).answer([True] * 50)
    with pytest.raises(DataError, match="another feature"):
        ManualLabels(Bright(), "dark", 60, path)
    with pytest.raises(DataError, match="another generator"):
        ManualLabels(Bright(1.0), "bright", 60, path)
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="no collection"):
        ManualLabels(Bright(), "bright", 60, path)
