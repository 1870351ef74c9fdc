"""Three kinds of iris, four measurements: regions on the plane in which flowers differ most, and along two of four."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from sklearn.datasets import load_iris

import netlapse
from netlapse.keras import Recorder

data = load_iris()
X = ((data.data - data.data.mean(axis=0)) / data.data.std(axis=0)).astype("float32")
keras.utils.set_random_seed(4)
layers = [keras.layers.Dense(8, "tanh", name="hidden"), keras.layers.Dense(3, "softmax", name="kind")]
model = keras.Sequential([keras.Input((4,)), *layers])
model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
recorder = Recorder("runs/iris", probe=(X, data.target), class_names=list(data.target_names), exist="replace")
model.fit(X, data.target, epochs=40, batch_size=15, verbose=0, callbacks=[recorder])

replay = netlapse.open("runs/iris")
panels = ["decision_boundary", netlapse.panels.DecisionBoundary(inputs=(2, 3)), "curves"]
netlapse.plot(replay, panels=panels, size=(1600, 600)).savefig("iris.png")
