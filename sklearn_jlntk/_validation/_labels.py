"""Checks of class labels, and class weights."""

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from sklearn_jlntk._backend.array_api import to_host

__all__ = ["check_labels", "check_same_classes", "check_two_classes", "weight_classes"]


def check_labels(y, classes):
    """Raise ValueError if y has labels that are not among the classes."""
    known = set(to_host(classes).tolist())
    unknown = sorted(set(to_host(y).tolist()) - known, key=str)
    if unknown:
        raise ValueError(
            f"y has the labels {unknown}, which are not among the classes "
            f"{to_host(classes).tolist()}. Give all labels to the first fit, in y or by "
            "`classes` of partial_fit, or fit a new model."
        )


def check_same_classes(given, classes):
    """Raise ValueError if the given classes differ from those of the first call."""
    given, known = (np.unique(to_host(labels)).tolist() for labels in (given, classes))
    if given != known:
        raise ValueError(
            f"classes={given} are not those of the first call, {known}. Leave them out, or "
            "fit a new model."
        )


def check_two_classes(classes):
    """Raise ValueError if there is only one class."""
    if classes.shape[0] < 2:
        raise ValueError(
            f"y has 1 class, {classes[0]}; a classifier needs samples of two classes at "
            "least."
        )


def weight_classes(class_weight, classes, y, sample_weight):
    """Sample weights multiplied by the class weights of labels y, on the host."""
    classes, labels = to_host(classes), to_host(y)
    weight = np.ones(len(labels))
    if sample_weight is not None:
        weight = to_host(sample_weight).astype(np.float64)
    counts = weight > 0
    present = np.isin(classes, labels[counts])
    of_class = np.ones(len(classes))
    of_class[present] = compute_class_weight(
        class_weight,
        classes=classes[present],
        y=labels[counts],
        sample_weight=weight[counts],
    )
    return weight * of_class[np.searchsorted(classes, labels)]
