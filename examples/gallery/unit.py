"""Eight ReLU units fold the plane along their hinges: which are born dead, which die, and what one of them computes."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

import netlapse
from netlapse.datasets import moons
from netlapse.keras import Recorder

keras.utils.set_random_seed(8)
data = moons(400, noise=0.1)
layers = [keras.layers.Dense(8, "relu", name=f"hidden_{k}") for k in (1, 2)]
model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(1, "sigmoid", name="output")])
model.compile(keras.optimizers.SGD(0.5, momentum=0.9), "binary_crossentropy")
recorder = Recorder("runs/unit", probe=data, exist="replace")
model.fit(*data, epochs=60, batch_size=40, verbose=0, callbacks=[recorder])

replay = netlapse.open("runs/unit")
panels = [netlapse.panels.Unit("hidden_2", 0), netlapse.panels.UnitLife("hidden_2")]
netlapse.plot(replay, panels=panels, size=(1440, 1080)).savefig("unit.png")
netlapse.plot(replay, panels=["unit_grid"], size=(1200, 640)).savefig("unit_grid.png")
