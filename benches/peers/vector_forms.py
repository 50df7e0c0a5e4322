"""What compact forms of vectors lose on a judged collection: nDCG@10, and recall@10 of what f32 finds.

    pip install numpy
    cargo build --bench embed
    python benches/peers/vector_forms.py MODEL_DIRECTORY target/debug/deps/embed-HASH BEIR_DIRECTORY...

Every form is searched exactly, without Docent's index: f32; f16; int8 with one scale a vector; one
bit a number, and that of what is off the mean of all documents; and these with their best rescored
in f32. Then the first numbers of each vector alone, scaled to length 1 again. A text longer than a
window is judged by its first window.
"""

import csv
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import numpy as np


def embed(binary, model, texts, role):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(texts, file)
        file.flush()
        command = [binary, "--model-dir", model, "--texts", file.name, "--role", role]
        report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return np.array(report["vectors"], np.float32)


def collection(folder):
    lines = lambda name: [json.loads(line) for line in open(folder / name, encoding="utf-8")]
    corpus = {row["_id"]: f"{row.get('title', '')}\n{row['text']}".strip() for row in lines("corpus.jsonl")}
    queries = {row["_id"]: row["text"] for row in lines("queries.jsonl")}
    judged = {}
    rows = csv.reader(open(folder / "qrels.tsv", encoding="utf-8"), delimiter="\t")
    next(rows)
    for query, document, gain in rows:
        if float(gain) > 0 and query in queries and document in corpus:
            judged.setdefault(query, {})[document] = float(gain)
    return corpus, {query: queries[query] for query in judged}, judged


def ndcg(order, ids, gains):
    discount = lambda values: sum(value / math.log2(place + 2) for place, value in enumerate(values[:10]))
    return discount([gains.get(ids[at], 0) for at in order]) / discount(sorted(gains.values(), reverse=True))


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def int8(x):
    scale = np.abs(x).max(axis=1, keepdims=True) / 127
    return np.round(x / scale).astype(np.float32) * scale


def bits(x):
    return np.where(x > 0, 1, -1).astype(np.float32)


def best(scores, count):
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def rescored(scores, exact, count):
    candidates = best(scores, count)
    again = np.take_along_axis(exact, candidates, axis=1)
    return np.take_along_axis(candidates, best(again, 10), axis=1)


def forms(documents, queries):
    exact = queries @ documents.T
    half = lambda x: x.astype(np.float16).astype(np.float32)
    eighth, bit = int8(queries) @ int8(documents).T, bits(queries) @ bits(documents).T
    middle = documents.mean(axis=0)
    around = bits(queries - middle) @ bits(documents - middle).T
    yield "f32", best(exact, 10)
    yield "f16", best(half(queries) @ half(documents).T, 10)
    yield "int8", best(eighth, 10)
    yield "int8, best 64 rescored", rescored(eighth, exact, 64)
    yield "1 bit", best(bit, 10)
    yield "1 bit, best 64 rescored", rescored(bit, exact, 64)
    yield "1 bit, best 400 rescored", rescored(bit, exact, 400)
    yield "1 bit around the mean, best 64 rescored", rescored(around, exact, 64)
    for dims in (256, 192, 128, 64):
        if dims < documents.shape[1]:
            yield f"first {dims}", best(unit(queries[:, :dims]) @ unit(documents[:, :dims]).T, 10)


def main():
    model, binary, *folders = sys.argv[1:]
    for folder in map(pathlib.Path, folders):
        corpus, queries, judged = collection(folder)
        documents = embed(binary, model, list(corpus.values()), "passage")
        questions = embed(binary, model, list(queries.values()), "query")
        ids, usual = list(corpus), None
        print(f"\n{pathlib.Path(model).name}, {folder.name}: {len(ids)} documents, {len(queries)} queries\n")
        print("| form | nDCG@10 | difference, 95 % | recall@10 of f32's |\n|---|---|---|---|")
        for name, orders in forms(documents, questions):
            scores = np.array([ndcg(order, ids, judged[query]) for query, order in zip(queries, orders)])
            usual = (orders, scores) if usual is None else usual
            shared = np.mean([len(set(own) & set(theirs)) / 10 for own, theirs in zip(orders, usual[0])])
            change = scores - usual[1]
            drawn = np.random.default_rng(1).integers(0, len(change), (2000, len(change)))
            low, high = np.percentile(change[drawn].mean(axis=1), [2.5, 97.5])
            print(f"| {name} | {scores.mean():.3f} | {change.mean():+.4f} ({low:+.4f} to {high:+.4f}) | {shared:.3f} |")


main()
