"""Two networks that are equally good, and the barrier between them: their units learnt the same in another order."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from sklearn.datasets import load_digits

import netlapse
from netlapse.keras import Recorder

X, y = load_digits(return_X_y=True)
X = X / 16


def train(seed):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(10, activation="softmax")]
    )
    model.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
    recorder = Recorder(f"runs/seed-{seed}", probe=(X[:500], y[:500]), exist="replace")
    model.fit(X, y, epochs=12, batch_size=64, verbose=0, callbacks=[recorder])
    return netlapse.open(f"runs/seed-{seed}")


first, second = train(1), train(2)
lines = [netlapse.panels.Interpolation(), netlapse.panels.Interpolation(other=second)]
netlapse.plot(first, panels=lines, size=(1440, 560)).savefig("interpolation.png")
