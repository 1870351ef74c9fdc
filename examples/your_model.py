"""Your own Keras model in fifteen lines: any layers, optimiser and callbacks; one more callback records it."""

import keras

import netlapse
from netlapse.datasets import moons
from netlapse.keras import Recorder

X, y = moons(1000, noise=0.1)
model = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(2, activation="tanh", name="space"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
model.fit(X, y, epochs=40, verbose=0, callbacks=[Recorder("runs/moons", probe=(X, y), exist="replace")])

replay = netlapse.open("runs/moons")
print(replay, replay.milestones())
netlapse.plot(replay, epoch=20).savefig("moons.png")
netlapse.film(replay, "moons.gif", size=(960, 480), dpi=80)
