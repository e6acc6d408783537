"""A classifier whose answers a test plants, and a checkout with one template."""

import torch
from torch import nn

from forgetting.book.checkout import Checkout
from forgetting.data.faces import CELEBA_ATTRIBUTES


class AttributeClassifier(nn.Module):
    """A classifier of CelebA's attributes with one weight; a subclass says what it answers."""

    attributes = CELEBA_ATTRIBUTES

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))


def checkout_of(folder, name, text):
    """Return a checkout in a new folder, with one template and no notebook of it."""
    checkout = Checkout(folder)
    checkout.templates.mkdir(parents=True)
    (checkout.templates / f"{name}.py").write_text(text, encoding="utf-8")
    return checkout
