"""A sequence to be reversed: look how one head learns to attend most, at every place, to the place that mirrors it."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import netlapse
from netlapse.keras import Recorder

PLACES, TOKENS = 8, 10
X = np.random.default_rng(0).integers(0, TOKENS, (2000, PLACES))
keras.utils.set_random_seed(0)
tokens = keras.Input((PLACES,), dtype="int32", name="tokens")
where = keras.layers.Embedding(PLACES, 32, name="where")(keras.ops.arange(PLACES)[None])
values = keras.layers.Embedding(TOKENS, 32, name="what")(tokens) + where
attended = keras.layers.MultiHeadAttention(2, 16, name="mirror")(values, values)
block = keras.layers.LayerNormalization(name="norm")(values + attended)
model = keras.Model(tokens, keras.layers.Dense(TOKENS, activation="softmax", name="reversed")(block))
model.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
recorder = Recorder("runs/attention", probe=(X[:100], X[:100, ::-1]), exist="replace")
model.fit(X, X[:, ::-1], epochs=15, batch_size=64, verbose=0, callbacks=[recorder])

replay = netlapse.open("runs/attention")
netlapse.plot(replay, panels=[netlapse.panels.Attention(examples=(0, 1))], size=(1100, 960)).savefig("attention.png")
