"""A network guesses the next letter: look along a row, where a new word is dear and its end, once known, is free."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import netlapse
from netlapse.keras import Recorder

WORDS = ("spring", "summer", "autumn", "winter")
LENGTH = 36

text = " ".join(np.random.default_rng(0).choice(WORDS, 1200))
letters = sorted(set(text))
codes = np.array([letters.index(letter) for letter in text])
lines = codes[: len(codes) // (LENGTH + 1) * (LENGTH + 1)].reshape(-1, LENGTH + 1)

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((LENGTH,)),
        keras.layers.Embedding(len(letters), 8),
        keras.layers.Conv1D(32, 6, padding="causal", activation="relu"),
        keras.layers.Dense(len(letters), activation="softmax", name="letter"),
    ]
)
model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
recorder = Recorder("runs/token_losses", probe=(lines[:100, :-1], lines[:100, 1:]), exist="replace")
model.fit(lines[:, :-1], lines[:, 1:], epochs=12, batch_size=32, verbose=0, callbacks=[recorder])

replay = netlapse.open("runs/token_losses")
figure = netlapse.plot(replay, panels=["token_losses"], size=(1000, 700))
figure.savefig("token_losses.png")
