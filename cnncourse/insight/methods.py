"""Six ways to ask where a network looks, by name."""

from torch import Tensor, nn

from cnncourse import messages
from cnncourse.insight import cam, gradients
from cnncourse.insight.checks import check_images
from cnncourse.insight.occlusion import occlusion

METHODS = (
    "Grad-CAM",
    "gradient",
    "SmoothGrad",
    "integrated gradients",
    "guided backpropagation",
    "occlusion",
)
SMOOTH_COUNT, STEPS = 4, 8  # few, so that an explorer's move is answered in seconds
STRIDES = 6  # squares of an occlusion map along a side


def attributed(
    model: nn.Module,
    images: Tensor,
    classes: Tensor | int,
    *,
    method: str,
    layer: str,
    square_px: int,
) -> Tensor:
    """Map of each picture (N, C, H, W) by a method of METHODS, (N, h, w), nothing of it below 0.

    The layer is for Grad-CAM, whose maps are of its size, the square's side for occlusion, whose
    maps have about STRIDES places a side; all others are of the pictures' size.
    Raises ValueError for an unknown method, and as that method does.
    """
    if method not in METHODS:
        raise ValueError(messages.unknown(str(method), "method", METHODS))
    if method == "Grad-CAM":
        return cam.grad_cam(model, images, classes, layer=layer)
    if method == "occlusion":
        check_images(images)
        messages.check_at_least("square_px", square_px, 1)
        stride = max(1, (images.shape[2] - square_px) // (STRIDES - 1))
        falls = occlusion(model, images, classes, size_px=square_px, stride_px=stride)
        return falls.relu()
    if method == "gradient":
        found = gradients.saliency(model, images, classes)
    elif method == "SmoothGrad":
        found = gradients.smooth_grad(model, images, classes, count=SMOOTH_COUNT)
    elif method == "integrated gradients":
        found = gradients.integrated_gradients(model, images, classes, steps=STEPS)
    else:
        found = gradients.guided_backpropagation(model, images, classes)
    return gradients.per_pixel(found)
