"""Operations of torch that a program may name: functions of numbers, and nothing else."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import _ops

# What networks are made of besides torch's core operations.
_ALSO = frozenset(
    """
    absolute adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
    addbmm addcdiv addcmul addmm addmv all aminmax any arange argsort atan2 avg_pool1d avg_pool2d avg_pool3d baddbmm
    batch_norm bilinear binary_cross_entropy binary_cross_entropy_with_logits bitwise_left_shift bitwise_right_shift
    bmm broadcast_to bucketize celu channel_shuffle chunk clamp_max clamp_min concat conv1d conv2d conv3d
    conv_transpose1d conv_transpose2d conv_transpose3d copysign cosine_embedding_loss cosine_similarity cross
    cross_entropy_loss cummax cummin cumprod detach diag diag_embed div dot einsum erfc erfinv exp2 expand_as eye
    flatten floor_divide fmax fmin frac frobenius_norm full glu group_norm gru hardshrink hardsigmoid hardswish
    heaviside hinge_embedding_loss huber_loss im2col index index_add index_copy index_fill index_put inner
    instance_norm isfinite isin kl_div kthvalue l1_loss layer_norm lerp lgamma linalg_cross linalg_norm
    linalg_vector_norm linear linspace log_sigmoid log_softmax logaddexp logcumsumexp logit logsumexp lstm
    margin_ranking_loss masked_fill matmul max max_pool1d max_pool2d max_pool3d mean median meshgrid min mish moveaxis
    movedim mse_loss multi_margin_loss multilabel_margin_loss mv nan_to_num nanmean nansum narrow native_layer_norm
    new_full new_ones new_zeros nll_loss nll_loss2d nll_loss_forward nll_loss_nd nll_loss2d_forward norm one_hot ones
    ones_like outer pad pairwise_distance pixel_shuffle pixel_unshuffle poisson_nll_loss prelu prod relu relu6
    repeat_interleave reshape rms_norm rnn_relu rnn_tanh roll rsub scaled_dot_product_attention scatter searchsorted
    select_scatter selu sgn silu sinc smooth_l1_loss soft_margin_loss softmax softplus softshrink split square squeeze
    stack std std_mean sum t take_along_dim tensordot threshold tile trace transpose tril triplet_margin_loss triu
    true_divide type_as unbind unflatten unfold unsafe_chunk unsafe_split unsafe_split_with_sizes upsample_bicubic2d
    upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_trilinear3d var var_mean
    where xlogy zeros zeros_like _adaptive_avg_pool2d _log_softmax _prelu_kernel _safe_softmax
    _scaled_dot_product_flash_attention_for_cpu _softmax _to_copy _unsafe_index _weight_norm
    """.split()  # noqa: SIM905
)
# Core operations that depend on chance or on what lies in memory, or make no tensor.
_NOT = frozenset(
    """
    _embedding_bag _local_scalar_dense as_strided empty empty_strided nonzero rand randn randperm native_dropout
    sym_numel sym_size sym_storage_offset sym_stride sym_is_contiguous
    """.split()  # noqa: SIM905
)
_NAME = re.compile(r"aten\.(\w{1,60})\.(\w{1,40})", re.ASCII)


def operation(name: Any) -> Any:
    """The operation of this name, such as "aten.linear.default". Raises ValueError for one that is not allowed."""
    match = _NAME.fullmatch(name) if isinstance(name, str) else None
    if match is None or match[1].startswith("__"):
        raise ValueError(f"{str(name)[:80]!r} is no operation")
    packet: Any = getattr(torch.ops.aten, match[1], None)
    found: Any = getattr(packet, match[2], None)
    if type(found) is not _ops.OpOverload or not allowed(found):
        raise ValueError(f"it needs the operation {name}")
    return found


def allowed(op: Any) -> bool:
    """Whether an operation only makes numbers of numbers: writes to nothing, reads no file, depends on no chance."""
    schema = op._schema
    name = op.name().removeprefix("aten::").partition(".")[0]
    return (
        op.namespace == "aten"
        and (name in _ALSO or (torch.Tag.core in op.tags and name not in _NOT))
        and not schema.is_mutable
        and all("Tensor" in str(result.type) for result in schema.returns)
        and not any(str(entry.type) in ("Generator", "Optional[Generator]") for entry in schema.arguments)
    )
