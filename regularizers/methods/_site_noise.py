"""Noise at dropout sites, from a stream of draws that every step seeds anew."""

from regularizers import Context, Regularizer
from regularizers.surgery.noise import Noise, StepNoise, attach_noise
from regularizers.surgery.sites import Site


class StreamNoise(Regularizer):
    """Take the draws of a step from `_stream`, which `attach` makes."""

    _stream: StepNoise

    def draw(self, context: Context) -> None:
        """A new stream of draws; micro-batches of a step go on with it."""
        self._stream.reseed(context)

    def put_noise(self, context: Context, sites: list[Site], noise: Noise | None) -> list[str]:
        """Make the stream and let noise act at the sites (None: at strength 0 the model stays as it is).

        Returns the modules that hold the sites' probabilities.
        """
        self._stream = StepNoise()
        if noise is not None:
            for site in sites:
                attach_noise(context.model, site, noise)
        return [site.module for site in sites]
