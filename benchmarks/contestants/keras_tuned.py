"""`model.fit` with the two switches that Keras has for speed: XLA, and many steps an execution."""

import keras_fit

keras_fit.fit(jit_compile=True, steps_per_execution=200)
