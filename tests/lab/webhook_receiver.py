"""A receiver of webhooks on PyPI `svix` and `standardwebhooks`: one line on standard output for each message.

    SECRET=whsec_… python webhook_receiver.py        # prints its port first; SECRET may hold several, with spaces between
"""
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook as Standard
from svix.webhooks import Webhook as Svix

SECRETS = os.environ["SECRET"].split()


def verdict(library, body, headers):
    """`ok` where one of the secrets verifies the message, else what the library says."""
    said = "no secret"
    for secret in SECRETS:
        try:
            library(secret).verify(body, headers)
            return "ok"
        except Exception as error:  # each library has exceptions of its own
            said = f"{type(error).__name__}: {error}"
    return said


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        only = {name: headers[name] for name in names if name in headers}
        svix_only = {name: value for name, value in headers.items() if name.startswith("svix-")}
        said = {
            "id": headers.get("webhook-id"),
            "svix": verdict(Svix, body, svix_only),
            "standard": verdict(Standard, body, only),
            "kind": json.loads(body).get("type") if body[:1] == b"{" else None,
        }
        print(json.dumps(said), flush=True)
        good = said["svix"] == "ok" and said["standard"] == "ok"
        self.send_response(204 if good else 400)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "0"))), Receiver)
print(json.dumps({"port": server.server_port}), flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    sys.exit(0)
