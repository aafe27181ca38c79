"""Sets TensorFlow up before a test module imports it."""

import digits.model  # noqa: F401
