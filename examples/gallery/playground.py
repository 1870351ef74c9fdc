"""Which units find the parts of the spiral, and how the next layer adds them up: watch the lines that grow wide."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

import netlapse
from netlapse.datasets import spirals
from netlapse.keras import Recorder

keras.utils.set_random_seed(4)
data = spirals(400, noise=0.02)
hidden = [keras.layers.Dense(units, "tanh", name=f"hidden_{k}") for k, units in enumerate((8, 8, 6), start=1)]
model = keras.Sequential([keras.Input((2,)), *hidden, keras.layers.Dense(1, "sigmoid", name="output")])
model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
recorder = Recorder("runs/playground", probe=data, exist="replace")
model.fit(*data, epochs=120, batch_size=50, verbose=0, callbacks=[recorder])

replay = netlapse.open("runs/playground")
panels = ["network", "decision_boundary", "curves"]
netlapse.plot(replay, panels=panels, theme="dark", size=(1680, 720)).savefig("playground.png")
netlapse.film(replay, "playground.gif", panels=panels, theme="dark", size=(1260, 540), dpi=90, epochs=slice(0, 120, 6))
