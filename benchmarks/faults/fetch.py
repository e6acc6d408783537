"""Fetch a model as an installed package does, from the release that FAULT_RELEASE names."""

import os

import forgetting as fg
from forgetting.foundation import project, resources

resources.checkout = lambda: None
project.REPOSITORY = os.environ["FAULT_RELEASE"]
fg.load("digits-classifier-b")
