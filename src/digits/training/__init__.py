"""Training: the trainer, its augmentation, checkpoints and temperature scaling."""

import digits.model  # noqa: F401 (sets TensorFlow up before anything here imports it)
