"""The way of a network through weight space: down the walls of a valley first, then slowly along its floor."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

import netlapse
from netlapse.datasets import moons
from netlapse.keras import Recorder

X, y = moons(300)

keras.utils.set_random_seed(1)
model = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(16, activation="tanh"),
        keras.layers.Dense(16, activation="tanh"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(keras.optimizers.SGD(0.3, momentum=0.9), loss="binary_crossentropy")
model.fit(X, y, epochs=40, batch_size=50, verbose=0, callbacks=[Recorder("runs/valley", probe=(X, y), exist="replace")])

replay = netlapse.open("runs/valley")
panels = [netlapse.panels.LossSurface(), netlapse.panels.LossSurface(kind="random"), "trajectory"]
netlapse.plot(replay, panels=panels, size=(1920, 600)).savefig("loss_surface.png")
