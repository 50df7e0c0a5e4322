"""Embedding speed beside ONNX Runtime, alternating in one run.

    pip install numpy onnx onnxruntime safetensors tokenizers
    cargo build --release -p docent-inference --bench embed
    python benches/peers/embedding.py MODEL_DIRECTORY target/release/deps/embed-HASH [--rounds 5]

MODEL_DIRECTORY holds model.safetensors, tokenizer.json and config.json of all-MiniLM-L6-v2. The graph
is built from the same weights out of ONNX Runtime's own fused operators (Attention,
SkipLayerNormalization, BiasGelu), which is what its transformer optimizer makes of an exported
model. Rounds alternate between the two, so that a machine that is busy is busy for both; tokens a
second of processor time are shown too, because they change less with what else is running.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer

WORDS = (
    "the library keeps every document you add and cuts it into passages each of which remembers its page "
    "a question is answered with those that fit best and every claim names where it was found because "
    "memory speed index vector search engine model token window reader author chapter garden river"
).split()


def graph(directory):
    """BERT out of fused operators."""
    config = json.load(open(os.path.join(directory, "config.json")))
    weights = load_file(os.path.join(directory, "model.safetensors"))
    eps, heads = config["layer_norm_eps"], config["num_attention_heads"]
    nodes, constants = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(kind, inputs, output, domain="com.microsoft", **attributes):
        outputs = output if isinstance(output, list) else [output]
        nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **attributes))
        return outputs[0]

    def tensor(name, transposed=False):
        value = weights[name]
        return constant(name, value.T if transposed else value)

    def norm(name):
        return [tensor(f"{name}.weight"), tensor(f"{name}.bias")]

    tables = [tensor(f"embeddings.{kind}_embeddings.weight") for kind in ("word", "position", "token_type")]
    hidden = node(
        "EmbedLayerNormalization",
        ["ids", "types", *tables, *norm("embeddings.LayerNorm"), "mask"],
        ["embedded", "mask_index"],
        epsilon=eps,
    )
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        parts = [f"{at}.attention.self.{part}" for part in ("query", "key", "value")]
        qkv = constant(f"{at}.qkv", np.concatenate([weights[f"{part}.weight"].T for part in parts], axis=1))
        bias = constant(f"{at}.qkv_bias", np.concatenate([weights[f"{part}.bias"] for part in parts]))
        context = node("Attention", [hidden, qkv, bias, "mask_index"], f"{at}.context", num_heads=heads)
        dense = f"{at}.attention.output.dense"
        mixed = node("MatMul", [context, tensor(f"{dense}.weight", True)], f"{at}.mixed", domain="")
        inputs = [mixed, hidden, *norm(f"{at}.attention.output.LayerNorm"), tensor(f"{dense}.bias")]
        hidden = node("SkipLayerNormalization", inputs, f"{at}.attended", epsilon=eps)
        dense = f"{at}.intermediate.dense"
        wide = node("MatMul", [hidden, tensor(f"{dense}.weight", True)], f"{at}.wide", domain="")
        wide = node("BiasGelu", [wide, tensor(f"{dense}.bias")], f"{at}.gelu")
        dense = f"{at}.output.dense"
        narrow = node("MatMul", [wide, tensor(f"{dense}.weight", True)], f"{at}.narrow", domain="")
        inputs = [narrow, hidden, *norm(f"{at}.output.LayerNorm"), tensor(f"{dense}.bias")]
        hidden = node("SkipLayerNormalization", inputs, f"{at}.out", epsilon=eps)
    shape = ["batch", "tokens"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT32, shape) for name in ("ids", "types", "mask")]
    outputs = [helper.make_tensor_value_info(hidden, TensorProto.FLOAT, [*shape, config["hidden_size"]])]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    body = helper.make_graph(nodes, "bert", inputs, outputs, initializer=constants)
    return helper.make_model(body, opset_imports=opsets, ir_version=9)


class Peer:
    """ONNX Runtime with mean pooling and scaling to length 1."""

    def __init__(self, model, tokenizer, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.tokenizer = tokenizer

    def embed(self, texts, window, batch):
        """Returns the vectors and the number of tokens, padding not counted."""
        encoded = [encoding.ids[:window] for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
        vectors = [None] * len(encoded)
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            longest = max(len(encoded[index]) for index in part)
            ids = np.zeros((len(part), longest), np.int32)
            mask = np.zeros_like(ids)
            for row, index in enumerate(part):
                ids[row, : len(encoded[index])] = encoded[index]
                mask[row, : len(encoded[index])] = 1
            hidden = self.session.run(None, {"ids": ids, "types": np.zeros_like(ids), "mask": mask})[0]
            summed = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
            summed /= np.linalg.norm(summed, axis=1, keepdims=True)
            for row, index in enumerate(part):
                vectors[index] = summed[row]
        return np.array(vectors), sum(map(len, encoded))


def texts_of(tokenizer, kind, count, seed=7):
    """Texts that fill a window, or are of mixed lengths."""
    random.seed(seed)
    texts = []
    for _ in range(count):
        tokens = kind - 2 if isinstance(kind, int) else random.randint(8, 254)
        words = [random.choice(WORDS) for _ in range(tokens)]
        while len(tokenizer.encode(" ".join(words)).ids) > tokens + 2:
            words.pop()
        texts.append(" ".join(words))
    return texts


def ours(binary, model, path, window, threads):
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    command = [binary, "--model-dir", model, "--texts", path, "--window", str(window)]
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)


def compare(arguments, tokenizer, onnx_path, kind, window, threads, batch):
    texts = texts_of(tokenizer, kind, arguments.texts)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(texts, file)
        file.flush()
        peer = Peer(onnx_path, tokenizer, threads)
        peer.embed(texts[:4], window, batch)
        speeds, used = {"docent": [], "onnxruntime": []}, {"docent": [], "onnxruntime": []}
        for _ in range(arguments.rounds):
            begun, cpu = time.perf_counter(), time.process_time()
            theirs, tokens = peer.embed(texts, window, batch)
            used["onnxruntime"].append(tokens / (time.process_time() - cpu))
            speeds["onnxruntime"].append(tokens / (time.perf_counter() - begun))
            mine = ours(arguments.binary, arguments.model, file.name, window, threads)
            assert mine["tokens"] == tokens, (mine["tokens"], tokens)
            speeds["docent"].append(mine["tokens"] / mine["seconds"])
            used["docent"].append(mine["tokens"] / mine["cpu_seconds"])
    cosine = float((np.array(mine["vectors"]) * theirs).sum(1).min())
    cells = [str(kind), str(threads), str(batch)]
    for measured in (speeds, used):
        ratios = [a / b for a, b in zip(measured["docent"], measured["onnxruntime"])]
        cells += [f"{statistics.median(v):,.0f} ({min(v):,.0f} to {max(v):,.0f})" for v in measured.values()]
        cells.append(f"{statistics.median(ratios):.2f}")
    print("|", " | ".join([*cells, f"{cosine:.6f}", f"{mine['rss_mb']} ({mine['peak_rss_mb']})"]), "|", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=24)
    arguments = parser.parse_args()
    tokenizer = Tokenizer.from_file(os.path.join(arguments.model, "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "bert.onnx")
        onnx.save(graph(arguments.model), path)
        heads = ["tokens a text", "threads", "peer's batch"]
        heads += ["docent tok/s", "onnxruntime tok/s", "ratio"]
        heads += ["docent tok/CPU s", "onnxruntime tok/CPU s", "ratio", "least cosine", "docent MB (peak)"]
        print("|", " | ".join(heads), "|")
        print("|---" * len(heads) + "|")
        for threads in (1, 2):
            compare(arguments, tokenizer, path, 512, 512, threads, 8)
            compare(arguments, tokenizer, path, 512, 512, threads, 1)
            compare(arguments, tokenizer, path, 256, 256, threads, 8)
            compare(arguments, tokenizer, path, "8 to 256", 256, threads, 8)


if __name__ == "__main__":
    main()
