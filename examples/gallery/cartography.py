"""Which tumours are learnt first and which never: look at the lower left of the map, and for rows that stay wrong."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale

import netlapse
from netlapse.keras import Recorder

data = load_breast_cancer()
X, y = scale(data.data), data.target

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [keras.Input((30,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1, activation="sigmoid")]
)
model.compile(keras.optimizers.SGD(0.02), "binary_crossentropy")
recorder = Recorder("runs/cartography", probe=(X, y), class_names=data.target_names.tolist(), exist="replace")
model.fit(X, y, epochs=40, batch_size=16, verbose=0, callbacks=[recorder])

replay = netlapse.open("runs/cartography")
netlapse.plot(replay, panels=["cartography", "learning_order"]).savefig("cartography.png")
panel = netlapse.panels.HardExamples(feature_names=tuple(data.feature_names))
netlapse.plot(replay, panels=[panel]).savefig("cartography_worst.png")
