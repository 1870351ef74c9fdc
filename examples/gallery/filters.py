"""Digits of 8 x 8 pixels: look how filters that begin as noise become detectors of edges, and what maps they make."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from sklearn.datasets import load_digits

import netlapse
from netlapse.keras import Recorder

digits = load_digits()
X, y = digits.images[..., None] / 16, digits.target
keras.utils.set_random_seed(1)
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(12, 3, padding="same", activation="relu", name="edges"),
        keras.layers.MaxPooling2D(name="pool"),
        keras.layers.Conv2D(16, 3, activation="relu", name="shapes"),
        keras.layers.Flatten(name="flat"),
        keras.layers.Dense(10, activation="softmax", name="digit"),
    ]
)
model.compile(keras.optimizers.Adam(0.003), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
recorder = Recorder("runs/filters", probe=(X, y), exist="replace")
model.fit(X, y, epochs=8, batch_size=32, verbose=0, callbacks=[recorder])

replay = netlapse.open("runs/filters")
panels = [netlapse.panels.Filters("edges"), netlapse.panels.FeatureMaps("edges")]
netlapse.plot(replay, panels=panels).savefig("filters.png")
