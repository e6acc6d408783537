"""A generator of one's own unlearns a feature, and is graded and saved."""

import forgetting as fg

# Any module that turns latents into images. This one decodes 32 numbers to
# a digit of 28 x 28 pixels, and stands in for yours: of yours you know the
# latents' shape and the values of black and white.
my_module = fg.load("digits-vae")
generator = fg.as_generator(my_module, latent_shape=(32,), value_range=(0, 1))

# What steers, and what only grades. For a feature that no classifier of the
# zoo knows, fg.train_classifier makes both of two folders of images.
seven = fg.load("digits-classifier-a")["7"]
grader = fg.load("digits-classifier-b")["7"]

# Samples, rounds of tuning, and a look after each round: some minutes.
result = fg.unlearn(generator, seven, grader, n=2000)

# One word by rule, the shares with their intervals, what else changed.
print(result)

# Weights, record, card and picture; then back into a module of that class.
result.save("no-sevens")
mine = fg.restore("no-sevens", into=fg.load("digits-vae"))
