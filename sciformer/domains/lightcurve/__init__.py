"""Light curves: irregular, gappy, in several bands and with errors."""

from sciformer.domains.lightcurve.adapter import LightCurve

adapter = LightCurve

__all__ = ["LightCurve", "adapter"]
