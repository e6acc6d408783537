"""Real images as uint8 tensors with labels, and what can be measured on a digit's strokes.

Digits come from MNIST, faces from CelebA, LFW or any folder per class. `sources` finds the data
sets, `images` with `decoding` is the one reader of image files, `tables` the one reader of tables.
What they leave out or change they name in a `DataWarning`; what they cannot read is an error. Each
source is split into training and held-out parts, the same on every machine.
This wing may import the wings below it (`border`, `foundation`) and `errors`. Another
package adds a digit feature through an entry point in the group `forgetting.data.digit_features`.
"""
