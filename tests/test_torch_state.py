"""Weights of a PyTorch module, read again and again while the module exchanges its tensors."""

import numpy as np
import pytest
import torch
from torch import nn

from netlapse.errors import Unsupported
from netlapse.torch.state import ModelState


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))


def exchange_a_parameter(model):
    model[0].weight = nn.Parameter(torch.ones(3, 2))


def exchange_a_layer(model):
    model[2] = nn.Linear(3, 1)


def exchange_the_memory(model):
    model[0].weight.data = torch.full((3, 2), 2.0)


def exchange_a_buffer(model):
    model[1].running_mean = torch.full((3,), 2.0)


@pytest.mark.parametrize(
    "exchange", [exchange_a_parameter, exchange_a_layer, exchange_the_memory, exchange_a_buffer, nn.Module.eval]
)
def test_weights_are_those_of_now(model, exchange):
    state = ModelState(model)
    state.weights()
    exchange(model)
    with torch.no_grad():
        model[2].bias += 1
    wanted = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    found = state.weights()
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: model.double(), r"0.weight was float32 \(3, 2\) and is float64"),
        (lambda model: model.append(nn.Linear(1, 1)), "3.weight was added, 3.bias was added"),
        (lambda model: setattr(model[0], "bias", None), "0.bias was removed"),
    ],
)
def test_another_network_is_noticed(model, change, message):
    state = ModelState(model)
    change(model)
    with pytest.raises(Unsupported, match=message):
        state.weights()
