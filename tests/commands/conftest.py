"""Sets TensorFlow up before a test module imports it, and its threads before anything computes."""

from digits import model

model.set_threads(intra_op_threads=1)
