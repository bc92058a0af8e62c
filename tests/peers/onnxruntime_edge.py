#!/usr/bin/env python3
"""ONNX Runtime runs the graphs of bundles on their golden sample, beside the native runtime.

onnxruntime_edge.py --step EDGE_STEP [--repeats N --threads N --ratio NAME=BOUND ...] BUNDLE...

`equal NAME ERROR`: largest difference of outputs over the larger of 1 and their standard deviation; in bf16 and int8
the root mean square difference over the standard deviation. Bounds: 1e-4 in fp32; in bf16 and int8 the two round
activations in other places (rows or whole tensors; bf16 or f32), see BOUNDS.
`ratio NAME VALUE`: ONNX Runtime's shortest time over the native runtime's, same model, threads and minute.
Exits 1 when a bound is missed.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime

GRAPHS = {"standard": "model.onnx", "ascend": "model-ascend.onnx"}
BOUNDS = {"fp32": 1e-4, "bf16": 0.005, "int8": 0.02}
FORBIDDEN = {"Einsum", "Roll"}


def read_manifest(bundle):
    with open(os.path.join(bundle, "manifest.json")) as file:
        return json.load(file)


def tensor(bundle, manifest, name):
    entry = next(t for t in manifest["tensors"] if t["name"] == name)
    assert entry["dtype"] == "f32"
    with open(os.path.join(bundle, entry["file"]), "rb") as file:
        file.seek(entry["offset"])
        return np.frombuffer(file.read(entry["bytes"]), np.float32).reshape(entry["shape"])


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def native(step, bundle, threads, repeats, shape):
    with tempfile.NamedTemporaryFile() as file:
        told = subprocess.run([step, bundle, file.name, str(threads), str(repeats)], check=True, capture_output=True,
                              text=True, env={**os.environ, "OMP_WAIT_POLICY": "active"}).stdout
        return json.loads(told), np.fromfile(file.name, np.float32).reshape(shape)


def difference(found, expected, precision):
    if precision == "fp32":
        return float(np.abs(found - expected).max() / max(1.0, expected.std()))
    return float(np.sqrt(np.mean((found - expected) ** 2)) / expected.std())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--step", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--ratio", action="append", default=[], help="NAME=BOUND: fails below it")
    parser.add_argument("bundles", nargs="+")
    words = parser.parse_args()
    failed = False
    ratios = {}
    for bundle in words.bundles:
        manifest = read_manifest(bundle)
        precision, name = manifest["precision"], os.path.basename(os.path.normpath(bundle))
        feed = {"input": tensor(bundle, manifest, "golden/input"),
                "condition": tensor(bundle, manifest, "golden/condition")}
        golden = tensor(bundle, manifest, "golden/output")
        told, output = native(words.step, bundle, words.threads, words.repeats, golden.shape)
        for profile, graph in GRAPHS.items():
            path = os.path.join(bundle, graph)
            onnx.checker.check_model(path, full_check=True)
            model = onnx.load(path, load_external_data=False)
            operators = {node.op_type for node in model.graph.node}
            assert model.ir_version == 8 and model.opset_import[0].version == 17, "IR version or opset"
            assert not operators & FORBIDDEN, operators & FORBIDDEN
            runtime = session(path, words.threads)
            found = runtime.run(None, feed)[0]
            error = difference(found, output, precision)
            print(f"equal {name}.{profile} {error:.2e}")
            failed |= not error <= BOUNDS[precision]
            # The batch is free: two samples give what each gives.
            twice = runtime.run(None, {key: np.concatenate([value, value[:, ::-1] if key == "input" else value])
                                       for key, value in feed.items()})[0]
            apart = difference(twice[:1], found, precision)
            failed |= twice.shape[0] != 2 or not apart <= BOUNDS[precision]
            if profile == "standard" and words.repeats > 1:
                shortest = 1e9
                for _ in range(words.repeats):
                    begin = time.perf_counter()
                    runtime.run(None, feed)
                    shortest = min(shortest, 1e3 * (time.perf_counter() - begin))
                ratios[precision] = shortest / told["milliseconds"]
                print(f"milliseconds {name} native {told['milliseconds']:.3f} onnxruntime {shortest:.3f}")
                print(f"ratio {name} {ratios[precision]:.3f}")
    for word in words.ratio:
        key, bound = word.split("=")
        failed |= not ratios.get(key, 0) >= float(bound)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
