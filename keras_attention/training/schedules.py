"""Learning rates over the updates of a training."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_attention")
class InverseSquareRoot(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly for `warmup_steps`, then falls with the square root of the step.

    `peak * min(step / warmup_steps, sqrt(warmup_steps / step))`. The paper's
    schedule, `units**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)`, is this
    one with `peak = (units * warmup_steps)**-0.5`. Over the last
    `cooldown_steps` of `total_steps` that is multiplied by a factor which falls
    linearly from 1 to 0.

    Args:
        peak: the highest rate, at step `warmup_steps`.
        warmup_steps: updates until then.
        cooldown_steps: updates at the end over which it falls to zero; none by
            default.
        total_steps: updates in all, for the cooldown.

    Raises:
        ValueError: for numbers out of range, and for a cooldown longer than
            `total_steps`.

    Example:

    >>> schedule = InverseSquareRoot(peak=0.4, warmup_steps=100)
    >>> [round(float(schedule(step)), 4) for step in (0, 49, 99, 399)]
    [0.004, 0.2, 0.4, 0.2]
    >>> schedule = InverseSquareRoot(peak=0.4, warmup_steps=100, cooldown_steps=200, total_steps=500)
    >>> [round(float(schedule(step)), 4) for step in (99, 399, 500)]
    [0.4, 0.101, 0.0]

    Reference: Vaswani et al. 2017, 5.3; Zhai et al. 2022, "Scaling Vision
        Transformers", 3.5, for the cooldown.
    """

    def __init__(self, peak, warmup_steps=4000, cooldown_steps=0, total_steps=None):
        super().__init__()
        if peak <= 0 or warmup_steps < 1:
            raise ValueError(
                "InverseSquareRoot: peak must be above 0 and warmup_steps at least 1. Received "
                f"peak={peak}, warmup_steps={warmup_steps}."
            )
        if not 0 <= cooldown_steps <= (total_steps or 0):
            raise ValueError(
                "InverseSquareRoot: cooldown_steps must be from 0 to total_steps. Received "
                f"cooldown_steps={cooldown_steps}, total_steps={total_steps}."
            )
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.cooldown_steps = cooldown_steps
        self.total_steps = total_steps

    def __call__(self, step):
        step = ops.cast(step, "float32") + 1.0  # the first update is number 1: its rate is not zero
        rate = self.peak * ops.minimum(step / self.warmup_steps, (self.warmup_steps / step) ** 0.5)
        if not self.cooldown_steps:
            return rate
        return rate * ops.clip((self.total_steps + 1.0 - step) / self.cooldown_steps, 0.0, 1.0)

    def get_config(self):
        names = ("peak", "warmup_steps", "cooldown_steps", "total_steps")
        return {name: getattr(self, name) for name in names}
