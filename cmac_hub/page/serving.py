"""Starts the page and ends it: on this machine's own address, without the network, with files that go at the end."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
from pathlib import Path

from cmac_hub.config import DEFAULT_NETWORK
from cmac_hub.errors import ArgumentError, CMACError
from cmac_hub.hub import REGISTERED
from cmac_hub.page.finding import Finder
from cmac_hub.page.limits import MOST_BYTES
from cmac_hub.streams import EndedError

PORT = 7860

HERE = "127.0.0.1"

SETTINGS = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""Gradio counts its users and looks for newer versions otherwise."""


def serve(
    port: int = PORT,
    *,
    address: str = HERE,
    network: str = DEFAULT_NETWORK,
    device: str = "cpu",
    window: float | None = None,
) -> None:
    """Serves the page until Ctrl-C. Everything that was uploaded or made is removed then.

    Args:
        port: from 1 to 65535.
        address: of this machine, on which it is served; others see it with "0.0.0.0".
        network: the one that is chosen at first; one that is not in the package is offered beside those that are.
        device: where they compute.
        window: seconds that a network is shown at once; the default is what it was trained on.

    Raises:
        CMACError: Gradio is not installed, the port is taken, or the network cannot be loaded.
    """
    check_port(port, address)
    with tempfile.TemporaryDirectory(prefix="cmac-page-", ignore_cleanup_errors=True) as folder:
        # Gradio reads them when it is imported. It asks itself whether it runs: not over a proxy.
        nearby = ",".join(filter(None, [os.environ.get("NO_PROXY"), HERE, "localhost"]))
        os.environ.update(SETTINGS, GRADIO_TEMP_DIR=folder, NO_PROXY=nearby)
        try:
            from cmac_hub.page.layout import CSS, THEME, make_page
        except ImportError as error:
            if error.name != "gradio":
                raise
            raise CMACError("the page needs gradio; install it: pip install 'cmac-hub[page]'") from error
        packaged = [name for name, source in REGISTERED.items() if source.kind == "package"]
        finder = Finder(tuple(dict.fromkeys([*packaged, network])), device, window)
        finder.visualizer(network)
        page = make_page(finder, Path(folder), network).queue(max_size=20)
        try:
            page.launch(
                server_name=address, server_port=port, max_file_size=MOST_BYTES, share=False, inbrowser=False,
                prevent_thread_lock=True, quiet=True, ssr_mode=False, footer_links=[], theme=THEME, css=CSS,
            )  # fmt: skip
            print(f"cmac: the page is at http://{address}:{port}, end it with Ctrl-C", flush=True)
            threading.Event().wait()
        except EndedError:
            raise
        except KeyboardInterrupt:
            print("cmac: the page is closed, its files are removed", file=sys.stderr)
        finally:
            page.close(verbose=False)


def check_port(port: int, address: str = HERE) -> None:
    """Raises ArgumentError for a port that is none, or at which something else is served."""
    if not 1 <= port <= 65535:
        raise ArgumentError(f"the port is {port}; accepted are 1 to 65535")
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            raise ArgumentError(
                f"port {port} of {address} cannot be used ({error.strerror}); end what is served there, or choose "
                "another: --port"
            ) from error
