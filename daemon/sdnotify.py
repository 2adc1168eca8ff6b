"""Tells systemd how we are (sd_notify(3)); does nothing where nobody listens."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> bool:
    """Sends one state such as "READY=1"; True when somebody got it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(1.0)
        try:
            channel.sendto(state.encode(), target)
        except OSError:
            return False
    return True
