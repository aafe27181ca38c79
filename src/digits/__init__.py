"""The library behind the stages, in packages by concern. `model` and `training` set up TensorFlow when imported."""
