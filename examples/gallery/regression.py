"""How far diabetes goes in a year: look at how the cloud turns from level (the mean for all) towards the diagonal."""

from sklearn.datasets import load_diabetes
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import scale

import netlapse
from netlapse.sklearn import record

inputs, progression = load_diabetes(return_X_y=True)
model = MLPRegressor(hidden_layer_sizes=(16,), solver="sgd", learning_rate_init=0.01, tol=1e-3, random_state=0)
record(model, scale(inputs), scale(progression), "runs/regression", exist="replace")

replay = netlapse.open("runs/regression")
figure = netlapse.plot(replay, panels=["predictions", "residuals"], size=(1200, 600))
figure.savefig("regression.png")
