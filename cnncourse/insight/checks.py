"""What insight asks for: pictures, classes and seeds that can be."""

from collections.abc import Iterable, Iterator
from numbers import Integral

import torch
from torch import Tensor

from cnncourse import messages

NUMBERS_AT_ONCE = 100_000  # of pictures in one pass with gradients: one of 180 px
AXES = ("pictures", "channels", "rows", "columns")
ROUNDING = 1e-6  # of a value from 0 to 1


def check_tensor(name: str, came: object, *, what: str) -> None:
    """Raise ValueError unless came is a tensor; what says of which shape it is to be."""
    if not isinstance(came, Tensor):
        raise ValueError(
            f"{name} of type {type(came).__name__}: must be a tensor {what}. "
            f"Try: torch.tensor({name})."
        )


def check_images(images: Tensor, *, name: str = "images") -> None:
    """Raise ValueError unless these are finite floats (N, C, H, W), one picture or more."""
    check_tensor(name, images, what="(N, C, H, W) of floats")
    rule = ""
    if images.ndim != 4:
        attempts = {2: f"{name}[None, None]", 3: f"{name}[None]", 5: f"{name}.flatten(0, 1)"}
        attempt = attempts.get(images.ndim, f"{name}.reshape(N, C, H, W)")
        rule = "must be (N, C, H, W)"
    elif 0 in images.shape:
        attempt = f"print({name}.shape) where they were chosen"
        rule = f"there are no {AXES[images.shape.index(0)]}, must be 1 or more"
    elif not images.is_floating_point():
        attempt = f"{name}.float() / 255" if images.dtype == torch.uint8 else f"{name}.float()"
        rule = "must be floats"
    elif not images.isfinite().all():
        attempt = f"{name}.isfinite(), which says where"
        rule = "some of the numbers are nan or infinite"
    if rule:
        kind = str(images.dtype).removeprefix("torch.")
        raise ValueError(f"{name} {tuple(images.shape)} {kind}: {rule}. Try: {attempt}.")


def check_pixels(images: Tensor, *, name: str = "images") -> None:
    """Raise ValueError unless these are pictures (N, C, H, W) whose values are from 0 to 1."""
    check_images(images, name=name)
    low, high = (value.item() for value in images.aminmax())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ValueError(
            f"{name} from {low:.2f} to {high:.2f}: must be pixels from 0 to 1, before "
            "standardising. Try: the pixels, and attacks.OnPixels(model, mean, std)."
        )


def random_numbers(seed: int) -> torch.Generator:
    """Where the random numbers of a seed come from, the same on every device."""
    messages.check_at_least("seed", seed, 0)
    return torch.Generator().manual_seed(int(seed))


def check_several(name: str, came: Iterable) -> None:
    """Raise ValueError for one value, or one name, where a list of them is asked for."""
    if isinstance(came, str) or not isinstance(came, Iterable):
        attempt = f"{name}=[{came!r}]"
        raise ValueError(messages.refusal(name, came, "must be a list", attempt=attempt))


# --- classes --------------------------------------------------------------------------------------


def targets_for(images: Tensor, classes: Tensor | int) -> Tensor:
    """A class for each picture, (N,), int64: the same for all, or one each; else ValueError."""
    if isinstance(classes, Integral) and not isinstance(classes, bool):
        return torch.full((len(images),), int(classes), device=images.device)
    if not isinstance(classes, Tensor):
        came = repr(classes)
    elif classes.dtype == torch.int64 and classes.shape in ((), images.shape[:1]):
        return classes.to(images.device).expand(len(images))
    else:
        came = f"{tuple(classes.shape)} {str(classes.dtype).removeprefix('torch.')}"
    raise ValueError(
        f"classes={came}: must be a whole number, or int64 with one for each of {len(images)} "
        "pictures. Try: classes=model(images).argmax(dim=1)."
    )


def in_pieces(images: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Pictures and their classes, so few at once that gradients do not need much memory.

    An ImageNet network keeps about 0.1 GB for each picture of 160 px, and is no faster with more.
    """
    count = max(1, NUMBERS_AT_ONCE // images[0].numel())
    return zip(images.split(count), targets.split(count), strict=True)


def check_logits(logits: Tensor, count: int) -> None:
    """Raise ValueError unless a model gave finite logits (N, classes) for so many pictures."""
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != count:
        came = tuple(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise ValueError(
            f"the model gives {came}: must be logits (N, classes). Try: a model that classifies."
        )
    if not logits.isfinite().all():
        raise ValueError(
            "the model's logits are nan or infinite for some pictures, so nothing can be said "
            "about them. Try: [name for name, x in model.state_dict().items() if x.isnan().any()]."
        )


def chosen(logits: Tensor, targets: Tensor) -> Tensor:
    """Logit of each picture's class: (N, classes) at (N,) -> (N,); ValueError where there is none.

    A model that answers in another shape is refused too.
    """
    check_logits(logits, len(targets))
    outside = targets[(targets < 0) | (targets >= logits.shape[1])]
    if len(outside):
        raise ValueError(
            f"class {int(outside[0])}: the model has classes 0 to {logits.shape[1] - 1}. "
            "Try: classes=model(images).argmax(dim=1)."
        )
    return logits.gather(1, targets[:, None])[:, 0]
