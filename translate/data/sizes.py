"""Which size a run has where none is given."""

LARGEST_DEFAULT_SIZE = 256


def default_size(width: int, height: int) -> int:
    """The training size for images of this size: the shorter side, at most 256, down to a multiple of 32, or 16, 8."""
    shorter = min(width, height, LARGEST_DEFAULT_SIZE)
    return shorter // 32 * 32 if shorter >= 32 else 16 if shorter >= 16 else 8


def image_set_size(width: int, height: int) -> int:
    """The training size for image sets: their own up to 256 px where it can be halved twice, as 28 can."""
    shorter = min(width, height)
    return shorter if shorter <= LARGEST_DEFAULT_SIZE and shorter % 4 == 0 else default_size(width, height)
