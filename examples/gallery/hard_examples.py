"""The digits that a network finds hardest: look for those that are not what they are called, as 50 labels are wrong."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from sklearn.datasets import load_digits

import netlapse
from netlapse.keras import Recorder

X, y = load_digits(return_X_y=True)
X = X / 16
wrong = np.random.default_rng(0).choice(len(y), 50, replace=False)
y[wrong] = (y[wrong] + 1) % 10

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [keras.Input((64,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(10, activation="softmax")]
)
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(X, y, epochs=25, verbose=0, callbacks=[Recorder("runs/hard_examples", probe=(X, y), exist="replace")])

replay = netlapse.open("runs/hard_examples")
dynamics = replay.example_dynamics()
suspicious = dynamics.index[dynamics.suspicious]
print(f"{len(suspicious)} suspicious labels, {np.isin(suspicious, wrong).sum()} of the 50 wrong ones among them")
print(*dynamics.table(dynamics.worst(5))["why"], sep="\n")
netlapse.plot(replay, panels=[netlapse.panels.HardExamples(shape=(8, 8))]).savefig("hard_examples.png")
