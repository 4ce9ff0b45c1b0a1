"""matplotlib figures that a snippet left open."""

from strands_worker.private import BUILTINS as __builtins__

import io
import sys
from typing import Any, Callable

_modules = sys.modules
_BytesIO = io.BytesIO
_MOST = (32 << 20) - 64  # bytes of a picture that the host takes


def collect(send: Callable[[bytes], Any]) -> list[str]:
    """Send every open figure as PNG and close it; returns warnings.

    Never imports matplotlib: without it there are no figures.
    """
    helpers = _modules.get("matplotlib._pylab_helpers")
    if helpers is None:
        return []
    warnings: list[str] = []
    try:
        managers = list(helpers.Gcf.get_all_fig_managers())
    except BaseException as e:
        return [f"figures could not be looked for: {type(e).__name__}"]
    for manager in managers:
        try:
            target = _BytesIO()
            manager.canvas.figure.savefig(target, format="png", bbox_inches="tight")
            png = target.getvalue()
            if len(png) > _MOST:
                warnings.append(f"figure {manager.num} is too big to show: {len(png)} bytes; use a smaller dpi")
            else:
                send(png)
        except BaseException as e:  # the model's artists may raise anything
            warnings.append(f"a figure could not be drawn: {_told(e)}")
        try:
            helpers.Gcf.destroy(manager)
        except BaseException as e:
            warnings.append(f"a figure could not be closed: {_told(e)}")
    return warnings


def _told(e: BaseException) -> str:
    try:
        return f"{type(e).__name__}: {e}"[:500]
    except BaseException:
        return type(e).__name__
