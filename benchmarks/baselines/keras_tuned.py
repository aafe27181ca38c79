"""`model.fit` with Keras's two options for speed: XLA, and many steps per execution."""

import keras_fit

keras_fit.fit(jit_compile=True, steps_per_execution=200)
