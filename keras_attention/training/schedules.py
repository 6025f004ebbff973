"""Learning rates over the updates of a training."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_attention")
class InverseSquareRoot(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly for `warmup_steps`, then falls with the square root of the step.

    `peak * min(step / warmup_steps, sqrt(warmup_steps / step))`. The paper's
    schedule, `units**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)`, is this
    one with `peak = (units * warmup_steps)**-0.5`.

    Args:
        peak: the highest rate, at step `warmup_steps`.
        warmup_steps: updates until then.

    Example:

    >>> schedule = InverseSquareRoot(peak=0.4, warmup_steps=100)
    >>> [round(float(schedule(step)), 4) for step in (0, 49, 99, 399)]
    [0.004, 0.2, 0.4, 0.2]

    Reference: Vaswani et al. 2017, 5.3.
    """

    def __init__(self, peak, warmup_steps=4000):
        super().__init__()
        if peak <= 0 or warmup_steps < 1:
            raise ValueError(
                "InverseSquareRoot: peak must be above 0 and warmup_steps at least 1. Received "
                f"peak={peak}, warmup_steps={warmup_steps}."
            )
        self.peak = peak
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step = ops.cast(step, "float32") + 1.0  # the first update is number 1: its rate is not zero
        return self.peak * ops.minimum(step / self.warmup_steps, (self.warmup_steps / step) ** 0.5)

    def get_config(self):
        return {"peak": self.peak, "warmup_steps": self.warmup_steps}
