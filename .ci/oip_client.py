"""A student outside retort: asks `retort serve` with the standard library only, learns by nearest
neighbour, and is scored. Checks the protocol as a foreign client sees it."""

import json
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request


def read_npy(path):
    raw = pathlib.Path(path).read_bytes()
    assert raw[:6] == b"\x93NUMPY", path
    size = struct.unpack("<H", raw[8:10])[0]
    header = eval(raw[10 : 10 + size].decode(), {"__builtins__": {}})
    shape, body = header["shape"], raw[10 + size :]
    code = {"<f4": "f", "<i8": "q", "<f8": "d"}[header["descr"]]
    flat = struct.unpack(f"<{len(body) // struct.calcsize(code)}{code}", body)
    width = shape[1] if len(shape) > 1 else 1
    return [flat[i * width : (i + 1) * width] for i in range(shape[0])]


def write_labels(path, labels):
    header = "{'descr': '<i8', 'fortran_order': False, 'shape': (%d,), }" % len(labels)
    header += " " * (-(len(header) + 11) % 64) + "\n"
    body = struct.pack(f"<{len(labels)}q", *labels)
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    pathlib.Path(path).write_bytes(head + body)


def call(url, body=None, key=None):
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as reply:
            return reply.status, json.loads(reply.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def main(binary):
    out = pathlib.Path(tempfile.mkdtemp(prefix="retort-client-"))
    command = [binary, "serve", "configs/quickstart.toml", "--port", "0", "--queries", "60", "--out", str(out)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        base = url.rsplit("/infer", 1)[0]
        key = (out / "keys.txt").read_text().split()[0]
        status, card = call(base)
        assert status == 200 and card["inputs"][0]["shape"][-1] == 64, card
        status, refused = call(url, {"inputs": []})
        assert status == 401 and "error" in refused, (status, refused)
        status, refused = call(url, {"inputs": []}, key)
        assert status == 400 and "error" in refused, (status, refused)

        pool, test = read_npy(out / "pool.npy"), read_npy(out / "test.npy")
        known = []
        for start in range(0, 80, 20):
            rows = pool[start : start + 20]
            flat = [x for row in rows for x in row]
            body = {"inputs": [{"name": "x", "shape": [20, 64], "datatype": "FP32", "data": flat}]}
            status, reply = call(url, body, key)
            if start < 60:
                assert status == 200, (status, reply)
                output = reply["outputs"][0]
                width = output["shape"][1]
                data = output["data"]
                flat = [x for row in data for x in row] if isinstance(data[0], list) else data
                for i, row in enumerate(rows):
                    probs = flat[i * width : (i + 1) * width]
                    known.append((row, probs.index(max(probs))))
            else:
                assert status == 429, (status, reply)
        nearest = lambda x: min(known, key=lambda k: sum((a - b) ** 2 for a, b in zip(k[0], x)))[1]
        write_labels(out / "predictions.npy", [nearest(x) for x in test])
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)
    assert server.returncode == 0, server.returncode
    command = [binary, "score", str(out), str(out / "predictions.npy"), "--name", "neighbour", "--format", "json"]
    record = json.loads(subprocess.check_output(command, text=True))
    scores = {s["metric"]: s["value"] for s in record["scores"]}
    assert scores["queries_spent"] == 60, scores
    assert scores["accuracy"] > 0.5, scores
    print(f"a foreign student: 60 queries, accuracy {scores['accuracy']:.3f}, agreement {scores['agreement']:.3f}")


main(sys.argv[1])
