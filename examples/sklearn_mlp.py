"""scikit-learn's own multi-layer perceptron: `record(estimator, X, y, path)` in the place of `estimator.fit(X, y)`."""

from sklearn.neural_network import MLPClassifier

import netlapse
from netlapse.datasets import moons
from netlapse.sklearn import record

X, y = moons(1000, noise=0.1)
estimator = MLPClassifier((16, 2), "tanh", batch_size=32, learning_rate_init=0.01, tol=1e-3, random_state=0)
record(estimator, X, y, "runs/sklearn", exist="replace")

replay = netlapse.open("runs/sklearn")
print(replay, replay.milestones())
print(f"fitted: {estimator.score(X, y):.3f}, after 5 epochs: {replay.model(5).score(X, y):.3f}")
netlapse.plot(replay, epoch=20).savefig("sklearn.png")
netlapse.film(replay, "sklearn.gif", size=(960, 480), dpi=80)
