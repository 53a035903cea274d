"""Processes that check where pictures come from, as an API process sees them."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from mien.resources import Resources
from mien.tasks.inspectors import Inspectors

if TYPE_CHECKING:
    from mien.marks.origin import Origin

OWN_KEY = 0
"""The number of the service's own key among those that watermarks are looked for with."""


class OriginCheckers(Inspectors):
    """They look for the marks of pictures."""

    module = "mien.origin.process"

    async def check(self, resources: Resources, picture: bytes, *, log: dict[str, str]) -> "Origin":
        """What the file `picture` tells about its origin: to this service, and with the key that is
        everybody's. Raises what `ask` raises.
        """
        # Here, since an API process that is never asked needs no pixels.
        from mien.marks.origin import Origin
        from mien.marks.watermark import Watermark

        keys = [resources.watermark_key.hex(), ""]
        question = {"trust": asdict(resources.trust), "watermark_keys": keys}
        head, _ = await self.ask(question, picture, log)
        told = head["origin"]
        return Origin(
            **told
            | {
                "watermarks": tuple(Watermark(**each) for each in told["watermarks"]),
                "when": datetime.fromisoformat(told["when"]) if told["when"] else None,
            }
        )
