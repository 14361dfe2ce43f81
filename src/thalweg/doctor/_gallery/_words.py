"""What the gallery says of its parts: where faults sit, how they look, and what they are planted in."""

from __future__ import annotations

#: where a fault sits -> the faults
FAULT_GROUPS: dict[str, tuple[str, ...]] = {
    "loss and head": (
        "softmax_before_cross_entropy",
        "sigmoid_with_squared_error",
        "squared_error_on_logits",
        "binary_loss_on_softmax",
        "likelihood_of_logits",
        "summed_loss",
        "labels_off_by_one",
        "unscaled_target",
        "no_activation",
    ),
    "optimizer": (
        "missing_zero_grad",
        "parameters_not_in_optimizer",
        "parameters_frozen",
        "lr_too_high",
        "lr_too_low",
        "momentum_too_high",
        "clipping_too_tight",
        "decay_too_strong",
        "coupled_decay_with_adam",
        "schedule_ends_early",
    ),
    "start and signals": (
        "zero_initialisation",
        "initial_weights_too_large",
        "dead_units",
        "off_centre_activations",
        "vanishing_gradients",
        "exploding_signals",
    ),
    "inputs": (
        "unscaled_inputs",
        "off_centre_inputs",
        "broken_features",
        "not_finite_inputs",
        "preprocessing_differs",
    ),
    "labels and splits": (
        "shuffled_labels",
        "label_noise",
        "class_collapse",
        "rows_in_both_splits",
        "leaking_feature",
    ),
    "batches and modes": (
        "sorted_batches",
        "batch_too_small",
        "batch_too_large",
        "missing_eval",
        "batch_norm_on_tiny_batches",
        "frozen_batch_norm_drifts",
    ),
    "fit": ("overfitting", "dropout_too_strong"),
    "fine-tuning": (
        "pretrained_weights_forgotten",
        "parameters_without_gradient",
        "accumulation_not_normalised",
        "prompt_not_masked",
        "first_answer_token_lost",
    ),
}

#: faults that look alike, as long as one sees nothing but the losses and scores
LOOKS: tuple[tuple[str, ...], ...] = (
    (  # learns slowly, or stops early
        "softmax_before_cross_entropy",
        "sigmoid_with_squared_error",
        "binary_loss_on_softmax",
        "no_activation",
        "parameters_not_in_optimizer",
        "parameters_frozen",
        "parameters_without_gradient",
        "lr_too_low",
        "clipping_too_tight",
        "decay_too_strong",
        "coupled_decay_with_adam",
        "schedule_ends_early",
        "zero_initialisation",
        "dead_units",
        "vanishing_gradients",
        "shuffled_labels",
        "batch_too_large",
        "dropout_too_strong",
    ),
    (  # a loss that is large, jumps, grows or is no number
        "likelihood_of_logits",
        "summed_loss",
        "unscaled_target",
        "missing_zero_grad",
        "lr_too_high",
        "momentum_too_high",
        "initial_weights_too_large",
        "exploding_signals",
        "unscaled_inputs",
        "off_centre_inputs",
        "off_centre_activations",
        "broken_features",
        "not_finite_inputs",
        "sorted_batches",
        "batch_too_small",
        "pretrained_weights_forgotten",
        "accumulation_not_normalised",
    ),
    (  # training and validation go apart
        "preprocessing_differs",
        "label_noise",
        "missing_eval",
        "batch_norm_on_tiny_batches",
        "frozen_batch_norm_drifts",
        "overfitting",
        "shuffled_labels",
        "dropout_too_strong",
    ),
    (  # all seems well, or too well
        "squared_error_on_logits",
        "labels_off_by_one",
        "class_collapse",
        "rows_in_both_splits",
        "leaking_feature",
        "prompt_not_masked",
        "first_answer_token_lost",
        "coupled_decay_with_adam",
    ),
)

#: data -> what they are
DATA_WORDS = {
    "digits": "pictures of digits, 8 x 8 pixels, 10 classes",
    "wine": "178 wines, 13 measured inputs, 3 classes",
    "breast_cancer": "569 tumours, 30 measured inputs, 2 classes",
    "diabetes": "442 patients, 10 measured inputs, a quantity",
    "fashion": "1,200 pictures of clothes, 28 x 28 pixels, 10 classes",
    "sums": "640 sums as text (37+58=?), whose answers a language model learns",
    "flavanoids": "178 wines, 12 measured inputs, a quantity",
    "smoothness": "569 tumours, 29 measured inputs, a quantity",
}

#: network -> what it is
MODEL_WORDS = {
    "mlp": "two hidden layers of 64 units, ReLU",
    "deep": "five hidden layers of 48 units, ReLU",
    "norm": "two hidden layers with batch norm and dropout",
    "residual": "two residual blocks with layer norm and GELU",
    "cnn": "two convolutions with batch norm, pooling and dropout; for pictures",
    "attention": "self-attention over the rows of a picture, or over the characters of sums",
}
