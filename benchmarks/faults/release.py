"""A release of the zoo on the loopback interface, which sends its files slowly."""

import contextlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from forgetting.foundation.files import ROOT

PIECE = 2048
"""Bytes that the release sends at once, so that a download takes seconds."""


class Release(http.server.SimpleHTTPRequestHandler):
    """Serves the weights of the checkout slowly, at whatever path."""

    def do_GET(self) -> None:
        """Send a file in pieces."""
        content = (ROOT / "zoo" / Path(self.path).name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(content), max(PIECE, len(content) // 40)):
                self.wfile.write(content[start : start + max(PIECE, len(content) // 40)])
                time.sleep(0.05)

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Serve a release on the loopback interface, and yield its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Release) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
