"""Metrics: functions of batches of images or label maps, one value for each image where that makes sense; distances
between sets of images, of their features."""

from translate.metrics.auroc import auroc
from translate.metrics.bootstrap import bootstrap_interval
from translate.metrics.edges import edge_agreement
from translate.metrics.frechet import frechet_distance, frechet_interval
from translate.metrics.kernel import kernel_distance, kernel_interval
from translate.metrics.l1 import l1
from translate.metrics.lpips import LPIPS
from translate.metrics.luminance import luminance, luminance_ssim
from translate.metrics.manifold import Manifold, manifold, nearest_distances
from translate.metrics.ms_ssim import ms_ssim
from translate.metrics.pro import pro
from translate.metrics.psnr import psnr
from translate.metrics.segmentation import (
    class_accuracy,
    class_iou,
    confusion_matrix,
    mean_class_accuracy,
    mean_class_iou,
    pixel_accuracy,
)
from translate.metrics.ssim import ssim

__all__ = [
    "LPIPS",
    "Manifold",
    "auroc",
    "bootstrap_interval",
    "class_accuracy",
    "class_iou",
    "confusion_matrix",
    "edge_agreement",
    "frechet_distance",
    "frechet_interval",
    "kernel_distance",
    "kernel_interval",
    "l1",
    "luminance",
    "luminance_ssim",
    "manifold",
    "mean_class_accuracy",
    "mean_class_iou",
    "ms_ssim",
    "nearest_distances",
    "pixel_accuracy",
    "pro",
    "psnr",
    "ssim",
]
