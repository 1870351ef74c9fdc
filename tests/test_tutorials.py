"""Little programs as each library's tutorial has them, with a line or two of netlapse, and their replay elsewhere."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

pytest.importorskip("sklearn")

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*`isinstance.treespec, LeafSpec.` is deprecated"),
]

# torch's example of MNIST.
CNN = """
import torch
from sklearn.datasets import load_digits
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from netlapse.torch import Recorder

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.dropout = nn.Dropout(0.25)
        self.fc1 = nn.Linear(64, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2)
        x = torch.flatten(self.dropout(x), 1)
        x = F.relu(self.fc1(x))
        return F.log_softmax(self.fc2(x), dim=1)

digits = load_digits()
X = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
y = torch.tensor(digits.target)
train_loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)
model = Net()
optimizer = optim.Adadelta(model.parameters(), lr=1.0)
scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
with Recorder("run", model, probe=(X[:50], y[:50]), optimizer=optimizer, loss=F.nll_loss) as recorder:
    for epoch in range(2):
        model.train()
        for data, target in train_loader:
            optimizer.zero_grad()
            loss = F.nll_loss(model(data), target)
            loss.backward()
            optimizer.step()
        scheduler.step()
        model.eval()
        with torch.no_grad():
            recorder.epoch(accuracy=(model(X).argmax(1) == y).float().mean())

inputs, targets = X[:50], y[:50]
outputs = model(inputs)
losses = F.nll_loss(outputs, targets, reduction="none")
hidden = F.max_pool2d(F.relu(model.conv2(F.relu(model.conv1(inputs)))), 2).flatten(1)
layer, activations = "fc1", F.relu(model.fc1(hidden))
"""

# Lightning's first example.
AUTOENCODER = """
import lightning as L
import torch
from sklearn.datasets import load_digits
from torch import nn, optim, utils
from netlapse.lightning import Recorder

class LitAutoEncoder(L.LightningModule):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def training_step(self, batch, batch_idx):
        x, _ = batch
        x = x.view(x.size(0), -1)
        z = self.encoder(x)
        x_hat = self.decoder(z)
        loss = nn.functional.mse_loss(x_hat, x)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self):
        return optim.Adam(self.parameters(), lr=1e-2)

digits = load_digits()
X = torch.tensor(digits.images, dtype=torch.float32) / 16
train_loader = utils.data.DataLoader(utils.data.TensorDataset(X, torch.tensor(digits.target)), batch_size=64)
encoder = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 2))
decoder = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 64))
model = LitAutoEncoder(encoder, decoder)
inputs = targets = X[:50].flatten(1)
recorder = Recorder("run", probe=(inputs, targets), loss=nn.MSELoss(), forward=lambda m, x: m.decoder(m.encoder(x)))
trainer = L.Trainer(max_epochs=2, callbacks=[recorder], accelerator="cpu", logger=False, enable_checkpointing=False,
                    enable_progress_bar=False, enable_model_summary=False)
trainer.fit(model, train_loader)

outputs = model.decoder(model.encoder(inputs))
losses = ((outputs - targets) ** 2).mean(1)
layer, activations = "encoder.2", model.encoder(inputs)
"""

# A character-level GPT, after nanoGPT.
GPT = """
import torch
from torch import nn
from torch.nn import functional as F
from netlapse.torch import Recorder

text = "to be, or not to be, that is the question: whether 'tis nobler in the mind to suffer\\n" * 20
chars = sorted(set(text))
stoi = {ch: i for i, ch in enumerate(chars)}
data = torch.tensor([stoi[ch] for ch in text])
block_size, n_embd, n_head = 16, 16, 2

class CausalSelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = nn.Linear(n_embd, 3 * n_embd)
        self.c_proj = nn.Linear(n_embd, n_embd)

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(n_embd, dim=2)
        q, k, v = (t.view(B, T, n_head, C // n_head).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.attn = CausalSelfAttention()
        layers = nn.Linear(n_embd, 4 * n_embd), nn.GELU(), nn.Linear(4 * n_embd, n_embd), nn.Dropout(0.1)
        self.mlp = nn.Sequential(*layers)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))

class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(len(chars), n_embd)
        self.wpe = nn.Embedding(block_size, n_embd)
        self.h = nn.ModuleList([Block() for _ in range(2)])
        self.ln_f = nn.LayerNorm(n_embd)
        self.lm_head = nn.Linear(n_embd, len(chars), bias=False)
        self.wte.weight = self.lm_head.weight

    def forward(self, idx, targets=None):
        B, T = idx.shape
        x = self.wte(idx) + self.wpe(torch.arange(T, device=idx.device))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        loss = None if targets is None else F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))
        return logits, loss

def get_batch(size):
    ix = torch.randint(len(data) - block_size, (size,))
    x = torch.stack([data[i : i + block_size] for i in ix])
    y = torch.stack([data[i + 1 : i + block_size + 1] for i in ix])
    return x, y

model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
inputs, targets = get_batch(50)
recorder = Recorder("run", model, probe=(inputs, targets), optimizer=optimizer, loss=F.cross_entropy, every="10 steps",
                    steps_per_epoch=20, forward=lambda model, x: model(x)[0])
for step in range(40):
    logits, loss = model(*get_batch(12))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    recorder.step(loss=loss)
recorder.close()

model.eval()
outputs = model(inputs)[0]
losses = F.cross_entropy(outputs.transpose(1, 2), targets, reduction="none").mean(1)
before = model.wte(inputs) + model.wpe(torch.arange(block_size))
layer, activations = "h.0", model.h[0](before)
"""

# Flax' own first example, on digits.
MLP = """
import jax
import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits
from netlapse.jax import Recorder

class MLP(nnx.Module):
    def __init__(self, rngs):
        self.linear1 = nnx.Linear(64, 16, rngs=rngs)
        self.linear2 = nnx.Linear(16, 10, rngs=rngs)

    def __call__(self, x):
        return self.linear2(nnx.relu(self.linear1(x)))

def loss_fn(model, x, y):
    return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

@nnx.jit
def train_step(model, optimizer, x, y):
    loss, grads = nnx.value_and_grad(loss_fn)(model, x, y)
    optimizer.update(model, grads)
    return loss

digits = load_digits()
X, y = (digits.data / 16).astype(np.float32), digits.target
model = MLP(nnx.Rngs(0))
optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
inputs, targets = X[:50], y[:50]
criterion = optax.softmax_cross_entropy_with_integer_labels
with Recorder("run", lambda model, x: model(x), model, probe=(inputs, targets), loss=criterion) as recorder:
    for epoch in range(2):
        for i in range(0, len(X), 64):
            loss = train_step(model, optimizer, X[i : i + 64], y[i : i + 64])
            recorder.step(model, loss=loss)
        recorder.epoch(model)

outputs = model(inputs)
losses = optax.softmax_cross_entropy_with_integer_labels(outputs, targets)
layer, activations = "linear1", nnx.relu(model.linear1(inputs))
"""

ELSEWHERE = """
import sys
import netlapse, numpy as np
replay = netlapse.open("run")
last = replay.epochs[-1]
found = {f"gradients/{name}": values for name, values in replay.gradients(last).items()}
found |= {"outputs": replay.outputs(last), "losses": replay.losses(last)}
found |= {"activations": replay.activations(sys.argv[1], last)}
np.savez("found.npz", epochs=replay.epochs, **found)
"""


@pytest.mark.parametrize("name", ["CNN", "AUTOENCODER", "GPT", "MLP"])
def test_a_tutorial_is_recorded_and_replayed_elsewhere(name, tmp_path, monkeypatch):
    pytest.importorskip({"AUTOENCODER": "lightning", "MLP": "flax"}.get(name, "torch"))
    monkeypatch.chdir(tmp_path)
    program: dict[str, object] = {"__name__": "__main__"}
    exec(compile(globals()[name], name, "exec"), program)
    command = [sys.executable, "-c", textwrap.dedent(ELSEWHERE), program["layer"]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = dict(np.load("found.npz"))
    np.testing.assert_allclose(found.pop("epochs")[[0, -1]], [0, 2])
    for what in ("outputs", "losses", "activations"):
        wanted = program[what].detach() if hasattr(program[what], "detach") else program[what]
        np.testing.assert_allclose(found.pop(what), wanted, atol=1e-5, err_msg=what)
    gradients = {name.removeprefix("gradients/"): values for name, values in found.items()}
    assert_gradients(gradients, program)


def assert_gradients(gradients, program):
    if hasattr(program["losses"], "detach"):
        program["model"].zero_grad()
        program["losses"].mean().backward()
        wanted = {name: parameter.grad for name, parameter in program["model"].named_parameters()}
    else:
        from flax import nnx

        state = nnx.grad(program["loss_fn"])(program["model"], program["inputs"], program["targets"])
        wanted = {"/".join(map(str, path)): leaf[...] for path, leaf in nnx.to_flat_state(state)}
    assert set(gradients) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(gradients[name], values, atol=1e-5, err_msg=name)
