"""A Flax network learns to read digits: one context around the loop and two calls inside record it."""

import flax.linen as nn
import jax
import optax
from sklearn.datasets import load_digits

import netlapse
from netlapse.jax import Recorder

X, y = load_digits(return_X_y=True)
network, optimizer = nn.Sequential([nn.Dense(64), nn.relu, nn.Dense(10)]), optax.adam(1e-3)
params = network.init(jax.random.key(0), X[:1] / 16)
state, loss_of = optimizer.init(params), optax.softmax_cross_entropy_with_integer_labels


@jax.jit
def train_step(params, state, inputs, labels):
    loss, found = jax.value_and_grad(lambda p: loss_of(network.apply(p, inputs), labels).mean())(params)
    updates, state = optimizer.update(found, state)
    return optax.apply_updates(params, updates), state, loss


with Recorder("runs/digits", network.apply, params, probe=(X / 16, y), loss=loss_of, exist="replace") as recorder:
    for _ in range(20):
        for start in range(0, len(X), 32):
            params, state, loss = train_step(params, state, X[start : start + 32] / 16, y[start : start + 32])
            recorder.step(params, loss=loss)
        recorder.epoch(params)
print(netlapse.open("runs/digits").metric("accuracy"))
