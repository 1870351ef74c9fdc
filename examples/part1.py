"""Part 1 of the article in thirty lines: three activation functions, three recorded trainings, side by side."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

import netlapse
from netlapse.datasets import parabolas
from netlapse.keras import Recorder

X, y = parabolas()
replays = []
for activation in ("sigmoid", "tanh", "relu"):
    keras.utils.set_random_seed(42)
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(2, activation=activation, kernel_initializer="glorot_normal", name="hidden"),
            keras.layers.Dense(1, activation="sigmoid", kernel_initializer="random_normal", name="output"),
        ]
    )
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss="binary_crossentropy", metrics=["accuracy"])
    recorder = Recorder(f"runs/{activation}", probe=(X, y), exist="replace")
    model.fit(X, y, batch_size=16, epochs=150, verbose=0, callbacks=[recorder])
    replays.append(netlapse.open(f"runs/{activation}"))

netlapse.compare(replays).savefig("activations.png")
for replay in replays:
    print(replay.name, replay.milestones().all)
    print("wrote", netlapse.film(replay, f"{replay.name}.mp4"))
