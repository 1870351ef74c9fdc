"""Attention weights against what the frameworks themselves return; and their pictures."""

from __future__ import annotations

import numpy as np
import pytest

import netlapse
from netlapse import figures, measures
from netlapse.errors import UnknownName, Unsupported
from netlapse.figures.theme import THEMES
from netlapse.replay.network import Tap
from tests.test_convolutions import assert_legible, axes

DRAW = np.random.default_rng(0)
TOKENS = DRAW.integers(0, 9, (12, 5))


def keras_model(keras, *, scores=False):
    """A model with every attention layer of Keras, and what they return with the scores."""
    layers, found = keras.layers, {}
    tokens = keras.Input((5,), dtype="int32")
    hidden = layers.Embedding(9, 8, name="embed", mask_zero=True)(tokens)
    for layer, told in (
        (layers.MultiHeadAttention(2, 4, name="many"), {}),
        (layers.MultiHeadAttention(2, 4, dropout=0.5, name="causal"), {"use_causal_mask": True}),
        (layers.GroupQueryAttention(4, 4, 2, name="grouped"), {}),
        (layers.Attention(name="one"), {}),
        (layers.MultiHeadAttention(1, 4, name="told"), {"return_attention_scores": True}),
    ):
        given = ([hidden, hidden],) if layer.name == "one" else (hidden, hidden)
        if scores or layer.name == "told":
            made, found[layer.name] = layer(*given, **{**told, "return_attention_scores": True})
        else:
            made = layer(*given, **told)
        hidden = hidden + made
    return keras.Model(tokens, found if scores else layers.Dense(9, activation="softmax", name="out")(hidden))


@pytest.fixture(scope="module")
def of_keras(keras, tmp_path_factory):
    from netlapse.keras import Recorder

    keras.utils.set_random_seed(0)
    model = keras_model(keras)
    model.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
    path = tmp_path_factory.mktemp("runs") / "keras"
    model.fit(TOKENS, TOKENS, epochs=2, verbose=0, callbacks=[Recorder(path, probe=(TOKENS, TOKENS))])
    return netlapse.open(path), model


def test_keras_attention_is_what_its_layers_return(of_keras, keras):
    replay, model = of_keras
    asked = keras_model(keras, scores=True)
    asked.set_weights(model.get_weights()[: len(asked.weights)])
    made = asked.predict(TOKENS, verbose=0)
    assert replay.attention_layers == ("many", "causal", "grouped", "one", "told")
    assert made.keys() == set(replay.attention_layers)
    for name, expected in made.items():
        found = replay.attention(name, 2)
        assert found.shape == (12, {"grouped": 4, "one": 1, "told": 1}.get(name, 2), 5, 5)
        np.testing.assert_allclose(found, expected.reshape(found.shape), atol=1e-6)
        # A token 0 is none.
        np.testing.assert_allclose(found.sum(-1)[TOKENS.all(axis=1)], 1, atol=1e-5)
    assert (np.triu(replay.attention("causal")[0], 1) == 0).all()
    # Asking for attention changes nothing else.
    np.testing.assert_allclose(replay.outputs(2), model.predict(TOKENS, verbose=0), atol=1e-6)


def torch_model(kind):
    torch = pytest.importorskip("torch")
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.drop = nn.Linear(8, 24), nn.Dropout(0.5)

        def forward(self, x):
            q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
            if kind == "causal":
                mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3)
            elif kind == "masked":
                seen = torch.arange(5) != 2
                mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen.expand(1, 1, 5, 5))
            elif kind == "biased":
                bias = -(torch.arange(5.0)[:, None] - torch.arange(5.0)).abs()
                mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
            elif kind == "einsum":
                weights = torch.softmax(torch.einsum("bhqd,bhkd->bhqk", q, k) / 2, -1)
                mixed = torch.einsum("bhqk,bhkd->bhqd", weights, v)
            elif kind == "one head":
                mixed = (self.drop((q[:, 0] @ k[:, 0].mT / 2).softmax(-1)) @ v[:, 0])[:, None].expand(-1, 2, -1, -1)
            else:
                mixed = self.drop(functional.softmax(q @ k.mT / 2, dim=-1)) @ v
            return mixed.transpose(1, 2).flatten(2)

        def expected(self, x):
            q, k, _ = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in self.qkv(x).double().chunk(3, -1))
            scores = q @ k.mT * (0.3 if kind == "causal" else 0.5)
            if kind == "causal":
                scores = scores.masked_fill(torch.ones(5, 5).triu(1) == 1, -torch.inf)
            if kind == "masked":
                scores[..., 2] = -torch.inf
            if kind == "biased":
                scores = scores - (torch.arange(5.0)[:, None] - torch.arange(5.0)).abs()
            weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
            return weights[:, :1] if kind == "one head" else weights

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.block, self.out = nn.Embedding(9, 8), Block(), nn.Linear(8, 3)

        def forward(self, x):
            # The last softmax is no attention.
            return self.out(self.block(self.embed(x)).mean(1)).softmax(-1)

    torch.manual_seed(0)
    return torch, Net().eval()


@pytest.mark.parametrize("kind", ["causal", "masked", "biased", "einsum", "one head", "by hand"])
def test_attention_in_torch_is_found_however_it_is_written(kind, tmp_path):
    torch, net = torch_model(kind)
    from netlapse.torch import capture
    from netlapse.torch.eager import Eager

    tokens = torch.tensor(TOKENS)
    capture(net, tmp_path / "run", (tokens, tokens[:, 0]))
    replay = netlapse.open(tmp_path / "run")
    expected = net.block.expected(net.embed(tokens)).detach().numpy()
    assert replay.attention_layers == ("block",)
    found = replay.attention("block", 0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)
    eager = Eager(net, replay.run.manifest, replay._network._network.inputs)
    weights = dict(net.state_dict())
    [again] = eager.evaluate(weights, {eager.inputs[0].name: tokens}, [Tap("block", "attention")])
    assert eager.attention_layers == ("block",)
    np.testing.assert_allclose(again.detach(), expected, atol=1e-6)


def test_torchs_own_attention_modules(tmp_path):
    torch = pytest.importorskip("torch")
    from netlapse.torch import capture

    nn = torch.nn
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.first = nn.Embedding(9, 8), nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
            layer = nn.TransformerEncoderLayer(8, 4, 16, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.twice, self.out = nn.MultiheadAttention(8, 1), nn.Linear(8, 3)

        def forward(self, x):
            hidden = self.embed(x)
            mask = torch.ones(5, 5, dtype=torch.bool).triu(1)
            hidden = self.first(hidden, hidden, hidden, attn_mask=mask, need_weights=False)[0]
            hidden = self.encoder(hidden).transpose(0, 1)  # places first
            for _ in range(2):
                hidden = self.twice(hidden, hidden, hidden)[0]
            return self.out(hidden.mean(0))

    net, tokens = Net().eval(), torch.tensor(TOKENS)
    expected = {}

    def ask(name, times):
        def asked(module, args, kwargs, output):
            kwargs = {**kwargs, "need_weights": True, "average_attn_weights": False}
            times.append(1)
            expected[name.format(len(times))] = nn.MultiheadAttention.forward(module, *args, **kwargs)[1].detach()

        return asked

    names = {"first": "first", "twice": "twice@{}"} | {f"encoder.layers.{n}.self_attn": None for n in (0, 1)}
    hooks = [net.get_submodule(m).register_forward_hook(ask(n or m, []), with_kwargs=True) for m, n in names.items()]
    torch.backends.mha.set_fastpath_enabled(False)
    net(tokens)
    torch.backends.mha.set_fastpath_enabled(True)
    for hook in hooks:
        hook.remove()
    capture(net, tmp_path / "run", (tokens, tokens[:, 0]))
    replay = netlapse.open(tmp_path / "run")
    assert replay.attention_layers == tuple(sorted(expected, key=list(expected).index))
    assert len(expected) == 5
    for name, weights in expected.items():
        np.testing.assert_allclose(replay.attention(name, 0), weights, atol=1e-6)


def test_maps_are_of_the_examples_and_heads_asked_for(of_keras):
    replay, _ = of_keras
    whole = replay.attention("grouped")
    shown = replay.attention_maps("grouped", examples=[7, 1], heads=[3, 0])
    np.testing.assert_allclose(shown.weights, whole[:, [7, 1]][:, :, [3, 0]], atol=1e-6)
    assert (shown.total, shown.examples.tolist(), shown.heads.tolist()) == (4, [7, 1], [3, 0])
    assert replay.attention_maps("grouped", 1).weights.shape == (1, 1, 4, 5, 5)


def test_errors_name_the_layers_that_attend(of_keras, small_run):
    replay, _ = of_keras
    with pytest.raises(UnknownName, match="no attention of a layer 'out'; it has that of many, causal, grouped"):
        replay.attention("out")
    with pytest.raises(UnknownName, match="no head 2; choose some of 0 to 1"):
        replay.attention_maps("many", heads=[2])
    plain = netlapse.open(small_run)
    with pytest.raises(UnknownName, match="it has that of no layer"):
        plain.attention("hidden")
    with pytest.raises(Unsupported, match="no layer whose attention can be seen; its layers are hidden"):
        netlapse.plot(plain, panels=["attention"])


def maps(examples, heads, queries, keys):
    weights = DRAW.random((2, examples, heads, queries, keys)).astype("f4")
    numbers = np.arange(heads), np.arange(examples)
    return measures.AttentionMaps(np.arange(2.0), "attention", heads, *numbers, weights / weights.sum(-1)[..., None])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (1, 12, 10, 10), (3, 2, 6, 6), (2, 8, 64, 64), (1, 4, 3, 12)])
def test_maps_of_any_size_can_be_read(shape, theme):
    ax, measure = axes((7, 7), THEMES[theme]), maps(*shape)
    figures.attention(measure, ax, epoch=0, theme=theme)
    assert assert_legible(ax.figure) > 6
    assert (ax.images[0].norm.vmin, ax.images[0].norm.vmax) == (0, pytest.approx(measure.weights.max()))


def test_tokens_name_the_places():
    ax = axes((7, 7))
    words = ["the", "quick", "brown", "fox", "jumps", "over"]
    figures.attention(maps(1, 2, 6, 6), ax, tokens=words)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == words
    assert [tick.get_text() for tick in ax.get_xticklabels()] == words * 2
    assert assert_legible(ax.figure) > 18


def test_the_panel_shows_the_first_layer_that_attends(of_keras):
    replay, _ = of_keras
    scene = figures.Panels(replay, figures.scenes.panels_of(replay, ["attention"]))
    scene.show(1)
    [panel] = scene.drawn[0].parts
    image = np.asarray(panel.mosaic.image.get_array())
    expected = replay.attention("many", 1)[0]
    for head in (0, 1):
        left, right, bottom, top = panel.mosaic.extent(*divmod(head, panel._grid[1]))
        values = image[round(top + 0.5) : round(bottom + 0.5), round(left + 0.5) : round(right + 0.5)]
        step = len(values) // 5
        np.testing.assert_allclose(values[::step, ::step], expected[head], atol=1e-6)
    assert assert_legible(scene.figure) > 10


def test_attention_in_jax_is_found_by_what_it_does(tmp_path):
    nn, jax = pytest.importorskip("flax.linen"), pytest.importorskip("jax")
    from netlapse.jax import Recorder

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            hidden = nn.Embed(9, 8)(x)
            mask = nn.make_causal_mask(x)
            hidden += nn.MultiHeadDotProductAttention(2, name="many")(hidden, hidden, mask=mask, sow_weights=True)
            q, k = nn.Dense(8, name="own/q")(hidden), nn.Dense(8, name="own/k")(hidden)
            weights = jax.nn.softmax(q @ k.mT)
            self.sow("intermediates", "own", weights)
            hidden = nn.Dense(8)(weights @ hidden).reshape(*x.shape, 4, 2)
            hidden = jax.nn.dot_product_attention(hidden, hidden, hidden).mean((1, 2))
            return jax.nn.softmax(nn.Dense(3)(hidden))

    net = Net()
    params = {"params": net.init(jax.random.key(0), TOKENS)["params"]}
    with Recorder(tmp_path / "run", net.apply, params, probe=(TOKENS, TOKENS[:, 0] % 3)) as recorder:
        recorder.epoch(params)
    _, kept = net.apply(params, TOKENS, mutable=["intermediates"])
    kept = kept["intermediates"]
    expected = {"many": kept["many"]["attention_weights"][0], "own": kept["own"][0][:, None]}
    for model in (None, net.apply):
        replay = netlapse.open(tmp_path / "run", model=model)
        assert replay.attention_layers == ("many", "own", "attention")
        assert replay.attention("attention", 0).shape == (12, 4, 5, 5)
        for name in replay.attention_layers:
            found = replay.attention(name, 0)
            np.testing.assert_allclose(found, expected.get(name, found), atol=1e-6)
            np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("way", ["sdpa", "eager"])
def test_a_transformer_of_hugging_face_attends_as_it_says(way, tmp_path):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from netlapse.torch import capture

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8
    )
    config._attn_implementation = way
    model = transformers.BertForSequenceClassification(config).eval()
    tokens, mask = torch.tensor(TOKENS), torch.ones(12, 5, dtype=torch.long)
    mask[:4, 3:] = 0
    capture(model, tmp_path / "run", ({"input_ids": tokens, "attention_mask": mask}, tokens[:, 0] % 2))
    replay = netlapse.open(tmp_path / "run")
    model.set_attn_implementation("eager")
    expected = model(input_ids=tokens, attention_mask=mask, output_attentions=True).attentions
    assert replay.attention_layers == tuple(f"bert.encoder.layer.{n}.attention.self" for n in (0, 1))
    for name, weights in zip(replay.attention_layers, expected, strict=True):
        np.testing.assert_allclose(replay.attention(name, 0), weights.detach(), atol=1e-6)
