"""An embedding that a test can foresee."""

import torch
from torch import nn


class Colours(nn.Module):
    """An embedding that tells people apart by their mean colour."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))

    def forward(self, images):
        return nn.functional.normalize(images.mean((2, 3)) * self.gain, dim=1)
