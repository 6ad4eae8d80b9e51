"""Every target by its name: at least one for each parser below `commandpost.protocols`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import commandpost.protocols
from tests.fuzz.guided import coap_targets, dtls_targets, edp_targets, lwm2m_targets, mqtt_targets
from tests.fuzz.guided.target import Target

PROTOCOLS: Final = Path(commandpost.protocols.__file__).parent
"""The folder whose lines count as reached."""

TARGETS: Final[Mapping[str, Target]] = {
    target.name: target
    for targets in (coap_targets, lwm2m_targets, mqtt_targets, edp_targets, dtls_targets)
    for target in targets.TARGETS
}
