"""Real images as uint8 tensors with labels."""
