"""A stand-in for the interface of a Kubernetes cluster, which runs each pod on this machine."""

import json
import os
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import kubernetes_validate

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: here, user: here}}}}]
clusters: [{{name: here, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: here, user: {{}}}}]
"""


class Cluster(ThreadingHTTPServer):
    """Checks each manifest against the schema, runs its command at once, and notes what it ran.

    The first look at a job fails, as when the cluster is busy.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.manifests, self.exit_codes, self.looked, self.deleted = {}, {}, set(), []
        self.problems = []

    def submit(self, manifest):
        manifest = {"apiVersion": "batch/v1", "kind": "Job", **manifest}  # as of the address
        try:
            kubernetes_validate.validate(manifest, "1.34", strict=True)
        except kubernetes_validate.ValidationError as error:
            self.problems.append(str(error))
        name = manifest["metadata"]["name"]
        self.manifests[name] = manifest
        (container,) = manifest["spec"]["template"]["spec"]["containers"]
        environment = {"PATH": f"{Path(sys.executable).parent}:{os.defpath}", "HOME": "/"}
        with tempfile.TemporaryDirectory() as folder:  # in the place of workingDir
            ended = subprocess.run(
                [*container["command"], *container["args"]],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
            )
        self.exit_codes[name] = ended.returncode


class Handler(BaseHTTPRequestHandler):
    """Answers the requests that the plugin sends."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "/jobs" in self.path:
            self.server.submit(body)
        self.reply(body, 201)

    def do_DELETE(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.deleted.append(self.path.partition("?")[0])
        self.reply({})

    def do_GET(self):
        if self.path.endswith("/status"):
            name = self.path.split("/")[-2]
            if name not in self.server.looked:
                self.server.looked.add(name)
                self.reply({"message": "busy"}, 503)
                return
            ended = "failed" if self.server.exit_codes[name] else "succeeded"
            self.reply({"status": {ended: 1}})
        elif "/log?" in self.path:  # as a kubelet replies
            is_known = "previous=true" not in self.path
            self.reply("lines" if is_known else {"message": "not found"}, 200 if is_known else 400)
        else:
            name = self.path.rpartition("job-name%3D")[2]
            state = {"terminated": {"exitCode": self.server.exit_codes[name]}}
            status = {"name": "snakemake", "state": state, "image": "", "imageID": ""}
            status |= {"ready": False, "restartCount": 0}
            pod = {"metadata": {"name": name}, "status": {"containerStatuses": [status]}}
            self.reply({"items": [pod]})

    def reply(self, body, code=200):
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass
