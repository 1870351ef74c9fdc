"""The same network with three activations: what two hidden units make of two moons, and what its layers hold.

Violins beside each other have one scale, so that what differs in the picture differs in truth.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

import netlapse
from netlapse.datasets import moons
from netlapse.keras import Recorder

X, y = moons(600)
replays = []
for activation in ["sigmoid", "tanh", "relu"]:
    keras.utils.set_random_seed(3)
    dense = keras.layers.Dense
    layers = [dense(16, activation, name="wide"), dense(2, activation, name="two"), dense(1, "sigmoid", name="output")]
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    recorder = Recorder(f"runs/{activation}", probe=(X, y), exist="replace")
    model.fit(X, y, epochs=30, batch_size=50, verbose=0, callbacks=[recorder])
    replays.append(netlapse.open(f"runs/{activation}"))

netlapse.compare(replays, panels=["feature_space", "weights", "gradients"]).savefig("compare.png")
