"""The DCGAN of faces in the package gan-face-generate: trained by others, on synthetic faces."""

from pathlib import Path

import gan_face_generate
import torch
from gan_face_generate.models import Generator

import forgetting as fg


def make_generator():
    dcgan = Generator(ngpu=0, nc=3, nz=100, ngf=64)
    weights = Path(gan_face_generate.__file__).with_name("weights.tar")
    checkpoint = torch.load(weights, map_location="cpu", weights_only=True)
    dcgan.load_state_dict(checkpoint["netG_state_dict"])
    return fg.as_generator(dcgan, latent_shape=(100, 1, 1), value_range=(-1, 1))
