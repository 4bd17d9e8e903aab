"""An Open Inference Protocol V2 teacher in PyTorch: http://127.0.0.1:8001, model `digits`."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer

import torch

torch.manual_seed(0)
MODEL = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
META = {"name": "digits", "versions": ["1"], "platform": "pytorch",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}],
        "outputs": [{"name": "probs", "datatype": "FP64", "shape": [-1, 10]}]}


class Handler(BaseHTTPRequestHandler):
    def send(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.send(META)

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        x = torch.tensor(request["inputs"][0]["data"], dtype=torch.float32).reshape(-1, 64)
        probs = torch.softmax(MODEL(x).double(), 1)
        self.send({"model_name": "digits", "outputs": [{"name": "probs", "datatype": "FP64",
                   "shape": list(probs.shape), "data": probs.flatten().tolist()}]})


HTTPServer(("127.0.0.1", 8001), Handler).serve_forever()
