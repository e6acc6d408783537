"""Probes of a generator after unlearning: is the feature gone, or only hidden?

One file each: `latent_attack` searches latents that show the feature, `ball_attack` searches them
near given latents, `inversion` searches the latents of given images, `relearning` tunes a copy on
a few images, `linear_probe` reads a layer.
No probe depends on how the model forgot. Run each on the original first: a probe that finds
nothing there proves nothing. Probes may import `metrics`, `models`, `data` and what is below them.
"""
