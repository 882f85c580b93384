"""Turn a model's raw output after a step into what users get: Scores, or a Forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .compiled_model import Bytes, CompiledModel, Floats
from .forecast import Forecast
from .scores import Scores

if TYPE_CHECKING:
    from ..features.series import Scaling


def wrap_output(
    compiled: CompiledModel,
    output: Floats,
    steps: int,
    input_state: Any,
    block: Bytes,
    whole: bool = False,
    scaling: Scaling | None = None,
) -> Scores | Forecast:
    """Return the scores or the forecast of one stream after `steps` steps.

    output: float32 [outputs], of the last step. block: the state. whole: whether the message has ended. scaling: that
    of the output, if the caller has it already.
    """
    source, series, reason = compiled.source, compiled.series, ""
    ready = source.is_ready(steps)
    if not ready:
        reason = f"the message has {source.empty_text}" if whole and not steps else source.not_ready_reason(steps)
    if series is None or series.transform.forecast is None:
        return Scores(output.copy() if ready else None, compiled.labels, reason, compiled.multi_label)
    if compiled.autoregressive and ready:
        reason = series.rollout_not_ready_reason(input_state)
    spec, columns = series.transform.forecast, series.targets
    if reason:
        return Forecast(None, spec.quantiles, columns, reason)
    if compiled.autoregressive:
        from .rollout import roll_out  # models that do not forecast need none of it

        start = block[None].copy(), output[None].copy(), [input_state]
        return Forecast(lambda: roll_out(compiled, *start, spec.horizon)[0], spec.quantiles, columns)
    scaling = series.scalings([input_state]) if scaling is None else scaling
    return Forecast(compiled.forecasts(output[None], scaling)[0], spec.quantiles, columns)
