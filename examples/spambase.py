"""Spam or not, by 57 frequencies of words: a network that ends in two linear units, and one that does not.

Usage: python spambase.py spambase.data (the UCI repository's file of 4,601 rows, the label last).
"""

import os
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import netlapse
from netlapse.keras import Recorder

rows = np.loadtxt(sys.argv[1], delimiter=",", dtype="float32")
rows = rows[np.random.default_rng(0).permutation(len(rows))]
X, y = rows[:, :-1], rows[:, -1]
X = (np.log1p(X) - np.log1p(X).mean(axis=0)) / np.log1p(X).std(axis=0)
train, held_out = (X[:3000], y[:3000]), (X[3000:], y[3000:])

for name in ("two-units", "wide"):
    keras.utils.set_random_seed(42)
    layers = [keras.layers.Dense(10, "tanh", name="hidden")]
    if name == "two-units":
        layers.append(keras.layers.Dense(2, name="plane"))
    model = keras.Sequential([keras.Input((57,)), *layers, keras.layers.Dense(1, "sigmoid", name="spam")])
    model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=["accuracy"])
    recorder = Recorder(
        f"runs/{name}", probe=train, validation=held_out, class_names=["message", "spam"], exist="replace"
    )
    model.fit(*train, epochs=30, batch_size=64, verbose=0, callbacks=[recorder])
    replay = netlapse.open(f"runs/{name}")
    accuracy = replay.curves(30, split="validation").accuracy[0]
    print(f"{name}: {accuracy:.1%} of {len(held_out[0])} messages that were not trained on are right")
    netlapse.plot(replay).savefig(f"spambase-{name}.png")
