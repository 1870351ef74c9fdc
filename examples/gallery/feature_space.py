"""A layer of 32 units pulls three spirals apart: its feature space in two fixed planes, and how far to trust each."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

import netlapse
from netlapse.datasets import spirals
from netlapse.keras import Recorder

X, y = spirals(900, classes=3, noise=0.02)
keras.utils.set_random_seed(3)
layers = [keras.layers.Dense(32, "relu", name=f"hidden_{number}") for number in (1, 2)]
model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(3, "softmax", name="arm")])
model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
recorder = Recorder("runs/feature_space", probe=(X, y), exist="replace")
model.fit(X, y, epochs=40, batch_size=50, verbose=0, callbacks=[recorder])

replay = netlapse.open("runs/feature_space")
panels = [
    netlapse.panels.FeatureSpace("hidden_2"),
    netlapse.panels.FeatureSpace("hidden_2", projection="classes"),
    "decision_boundary",
]
netlapse.plot(replay, panels=panels, size=(1680, 640)).savefig("feature_space.png")
