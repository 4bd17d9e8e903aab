"""An Open Inference Protocol V2 teacher in PyTorch: http://127.0.0.1:8001, model `digits`.

It learns 800 of scikit-learn's digits, the same as retort's, and then answers."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer

import torch
from sklearn.datasets import load_digits

torch.manual_seed(0)
torch.set_num_threads(1)
PIXELS, LABELS = load_digits(return_X_y=True)
ROWS = torch.randperm(len(LABELS))[:800]
X = torch.tensor(PIXELS / 16, dtype=torch.float32)[ROWS]
Y = torch.tensor(LABELS)[ROWS]
MODEL = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
OPTIMIZER = torch.optim.Adam(MODEL.parameters(), lr=0.003)
for _ in range(300):
    OPTIMIZER.zero_grad()
    torch.nn.functional.cross_entropy(MODEL(X), Y).backward()
    OPTIMIZER.step()
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
        with torch.no_grad():
            probs = torch.softmax(MODEL(x).double(), 1)
        self.send({"model_name": "digits", "outputs": [{"name": "probs", "datatype": "FP64",
                   "shape": list(probs.shape), "data": probs.flatten().tolist()}]})


print("ready", flush=True)
HTTPServer(("127.0.0.1", 8001), Handler).serve_forever()
