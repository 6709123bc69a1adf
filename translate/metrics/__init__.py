"""Metrics: functions of batches of images or label maps, one value for each image where that makes sense."""

from translate.metrics.bootstrap import bootstrap_interval
from translate.metrics.l1 import l1
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
    "bootstrap_interval",
    "class_accuracy",
    "class_iou",
    "confusion_matrix",
    "l1",
    "mean_class_accuracy",
    "mean_class_iou",
    "pixel_accuracy",
    "psnr",
    "ssim",
]
