"""This process as a service: what the manager that started it is told while it runs."""

import asyncio
import os
from collections.abc import Callable

from wesher.system.notify import Notifier

STATUS_INTERVAL = 5.0  # seconds between two looks at whether there is something new to tell


class Service:
    """Keeps the service manager informed, from the event loop: it notices when that stands."""

    def __init__(self) -> None:
        self._notifier = Notifier(os.environ)
        self.stopping = self._notifier.stopping

    async def run(self, describe: Callable[[], str]) -> None:
        """Say that we are ready, then go on saying that and how we live, until cancelled."""
        self._notifier.ready()
        interval = min(self._notifier.watchdog_interval or STATUS_INTERVAL, STATUS_INTERVAL)
        told = ""
        while True:
            self._notifier.alive()
            if (status := describe()) != told:
                self._notifier.status(status)
                told = status
            await asyncio.sleep(interval)
