"""Class activation maps: where a layer's maps speak for a class.

Maps are of the layer's size, (N, h, w); `enlarged` brings them to the picture's.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse import messages
from cnncourse.insight.checks import check_images, check_tensor, chosen, in_pieces, targets_for
from cnncourse.insight.layers import asked, layer_of, maps_of, passed, slope, watched


def grad_cam(
    model: nn.Module, images: Tensor, classes: Tensor | int, *, layer: str, relu: bool = True
) -> Tensor:
    """Maps weighted by their mean gradient (Selvaraju et al. 2017, arXiv:1610.02391).

    (N, C, H, W) -> (N, h, w): with y the class's logit and A the layer's C maps,
    relu(sum over c of mean(dy/dA_c) A_c). Without relu what speaks against the class
    stays, below 0. classes is one class for all, or one each.
    Raises ValueError for an unknown layer, one that gives no maps or that the logit does not
    depend on, and a class that is not there.
    """
    check_images(images)
    targets = targets_for(images, classes)
    found = []
    for part, wanted in in_pieces(images, targets):
        with asked(model), watched(model, [layer]) as outputs:
            pixels = part.detach().clone().requires_grad_()
            total = chosen(passed(model, pixels), wanted).sum()
            maps = maps_of(outputs, layer)
            slopes = slope(total, maps, said=f"layer {layer!r}", attempt="another layer")
        weights = slopes.mean(dim=(2, 3), keepdim=True)
        found.append((weights * maps.detach()).sum(dim=1))
    cam = torch.cat(found)
    return cam.relu() if relu else cam


def class_activation_map(
    model: nn.Module, images: Tensor, classes: Tensor | int, *, layer: str, head: str
) -> Tensor:
    """Maps weighted as the head weighs their means (Zhou et al. 2016, arXiv:1512.04150).

    (N, C, H, W) -> (N, h, w); its mean, and the head's bias, are the class's logit. For networks
    that end in: layer, mean over the places, head (nn.Linear). Raises ValueError for any other,
    which is found by computing the logits so.
    """
    check_images(images)
    targets = targets_for(images, classes)
    linear = layer_of(model, head)
    if not isinstance(linear, nn.Linear):
        kind = type(linear).__name__
        raise ValueError(f"head {head!r} is a {kind}: must be nn.Linear. Try: grad_cam.")
    with asked(model), torch.no_grad(), watched(model, [layer]) as outputs:
        logits = passed(model, images)
        chosen(logits, targets)
        maps = maps_of(outputs, layer)
    weights = linear.weight.detach()
    if maps.shape[1] == weights.shape[1]:
        with torch.no_grad():
            rebuilt = linear(maps.mean(dim=(2, 3)))
        if torch.allclose(rebuilt, logits, rtol=1e-3, atol=1e-3 * float(logits.abs().max())):
            return torch.einsum("nchw,nc->nhw", maps, weights[targets])
    raise ValueError(
        f"the logits are not {head!r} of the means of {layer!r}: CAM needs a network that ends so. "
        "Try: grad_cam, which works at any layer."
    )


def enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (N, h, w) at the size (H, W) of the pictures, (N, H, W); bilinear between middles.

    Raises ValueError for other shapes, and for a size that is not two whole numbers of 1 or more.
    """
    check_tensor("maps", maps, what="(N, h, w)")
    if maps.ndim != 3 or not maps.is_floating_point():
        kind = str(maps.dtype).removeprefix("torch.")
        raise ValueError(
            f"maps {tuple(maps.shape)} {kind}: must be (N, h, w), floats. Try: maps[None].float()."
        )
    if not isinstance(size, Sequence) or len(size) != 2:
        rule, attempt = "must be (height, width)", "size=tuple(images.shape[2:])"
        raise ValueError(messages.refusal("size", size, rule, attempt=attempt))
    height, width = size
    messages.check_at_least("height", height, 1)
    messages.check_at_least("width", width, 1)
    return F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]
