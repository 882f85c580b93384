"""Small files of results, as the benches write them, for the tests of tools/readme.py."""

MADE = {
    "command": "python bench/some.py",
    "date": "2026-01-02",
    "cpu": "A CPU",
    "cores": 2,
    "versions": {"python": "3.11.7", "tidegate": "0.1.0"},
}
RUN = {"seed": 0, "accuracy": 0.961, "wall_seconds": 130.0, "cpu_seconds": 100.0, "bytes": 2_000_000}
ERROR = {"ok": True, "error": 1e-8, "bound": 1e-6, "mutants": 6, "caught": 6}
INTERPRETED = {"target": "base", "size": 64, "same_bits": True, "quartiles": [1.11, 1.31]}
OURS = {"name": "tidegate base", "error": 3e-7, "us": 1.516, "spread": [1.4, 1.6], "bound": 1e-6, "share": 0.514}
TIMES = {"error": 2e-7, "us": 9.0, "spread": [8.9, 9.1], "ratio": 9.04, "quartiles": [8.51, 9.5]}
FIGURES = {
    "step": {
        "absent": ["jax"],
        "rows": [
            {
                "case": "step I=64 H=32 float32",
                "plain": True,
                "rounds": 15,
                "ours": OURS,
                "peers": {"torch.nn.GRU": TIMES, "onnxruntime": {**TIMES, "ratio": 4.444}},
            },
            {
                "case": "step I=64 H=32 lstm float32",
                "plain": False,
                "rounds": 15,
                "ours": OURS,
                "peers": {"torch.nn.LSTM": TIMES},
            },
        ],
    },
    "step_cold": {
        "absent": [],
        "megabytes": 16,
        "rows": [
            {
                "case": "step I=64 H=32 float32 cold",
                "plain": True,
                "rounds": 15,
                "ours": {**OURS, "us": 2512.0, "hot_us": 1.0, "share": None},
                "peers": {"torch.nn.GRU": TIMES},
            }
        ],
    },
    "sequence": {
        "absent": [],
        "rows": [
            {
                "case": "sequence 1x2x3 rnn float32",
                "plain": False,
                "rounds": 15,
                "ours": OURS,
                "peers": {"tidegate gru": {**TIMES, "ratio": 0.91}},
            }
        ],
    },
    "pool": {
        "absent": [],
        "rows": [
            {
                "case": "pool 5x3x4 compute=bf16",
                "plain": True,
                "rounds": 15,
                "ours": OURS,
                "peers": {"tidegate float32": {**TIMES, "ratio": 1.75}, "openvino": TIMES},
            }
        ],
    },
    "training": {
        "absent": [],
        "rows": [
            {
                "case": "training 1x2x3x4 float32",
                "plain": True,
                "rounds": 9,
                "ours": OURS,
                "peers": {"torch.nn.LSTM": {**TIMES, "error": None}},
            }
        ],
    },
    "threads": {
        "rows": [
            {
                "case": "pool 5x3x4 float32, 2 threads",
                "rounds": 9,
                "ours": OURS,
                "peers": {"torch.nn.GRU": TIMES, "tidegate with 1": {**TIMES, "ratio": 1.913}},
            }
        ],
    },
    "end_to_end": {
        "set": "trec",
        "seed": 0,
        "rows": [
            {
                "engine": "torch.nn.GRU",
                "cpu_ratio": 2.514,
                "wall_ratio": 2.2,
                "runs": [{"accuracy": 0.9731, "epochs": 9, "cpu_s": 120.04, "wall_s": 121.5}],
            }
        ],
    },
    "series_stream": {
        "pushes": 3000,
        "streams": 1000,
        "rows": [
            {
                "case": "load",
                "error": 1e-7,
                "compared": 400,
                "us": 81.04,
                "us_99": 130.0,
                "ratio": 2.61,
                "pool_us": 36.8,
                "layers_bytes": 520,
                "memory_bytes": 2064,
                "origins_a_second": 42_653.4,
            },
            {
                "case": "japanese_vowels",
                "error": 2.5e-8,
                "compared": 420,
                "us": 15.1,
                "us_99": 56.6,
                "ratio": 3.7,
                "pool_us": 3.3,
                "layers_bytes": 1064,
                "memory_bytes": 0,
                "origins_a_second": None,
            },
        ],
    },
    "interpreter": {
        "rounds": 31,
        "rows": [
            {**INTERPRETED, "batch": 1, "ratio": 1.21},
            {**INTERPRETED, "batch": 32, "ratio": 1.22, "same_bits": False},
        ],
    },
    "footprint": {
        "runs": 7,
        "module_bytes": 320_000,
        "cases": {
            "numpy": {"cpu_s": 0.1, "resident_mb": 26.0},
            "torch, first step": {"cpu_s": 0.17, "resident_mb": 30.5},
        },
    },
    "errors": {
        "size": 64,
        "rows": [
            {**ERROR, "target": "base", "steps": 1, "ratio": 0.15},
            {**ERROR, "target": "base", "steps": 1000, "ratio": 0.03, "caught": 5},
        ],
    },
    "dialects": {
        "size": 16,
        "rows": [
            {**ERROR, "cell": "gru", "dialect": "", "target": "base", "steps": 1, "ratio": 0.15, "mistaken": 9000.0},
            {
                **ERROR,
                "cell": "gru",
                "dialect": "reset=before",
                "target": "base",
                "steps": 7,
                "ratio": 0.03,
                "mistaken": 8264.4,
            },
            {**ERROR, "cell": "gru", "dialect": "", "target": "torch", "steps": 1, "ratio": 0.11, "mistaken": None},
        ],
    },
    "nn_parity": {
        "parity": [
            {
                "way": "tape",
                "dtype": "float32",
                "cases": 246,
                "values": 4e-7,
                "gradients": 6e-7,
                "torch_values": 5e-7,
                "torch_gradients": 1.3e-6,
            }
        ],
        "dialects": [{"gradients_hold": True}, {"gradients_hold": False}],
        "scan": [
            {"steps": 100, "rows": 1, "times_faster": 2.5, "error": 3e-7},
            {"steps": 10000, "rows": 8, "times_faster": 3.3, "error": 3e-7},
            {"steps": 10000, "rows": 1, "times_faster": 28.4, "error": 2e-7},
        ],
    },
    "from_torch": {
        "modules": 200,
        "within": 199,
        "back_equal": 198,
        "largest_error": 9.5e-7,
        "worst": {"ratio": 0.073},
    },
    "c_export": {
        "models": 22,
        "sanitized_ok": 21,
        "large": {"weights": 2_560_000, "write_s": 3.4, "gcc_s": 5.2, "clang_s": 9.1, "verify_compile_s": 0.5},
        "summary": [
            {**ERROR, "compiler": "gcc", "level": "-O0", "steps": 1, "models": 22, "ratio": 0.2, "same_bits": 22},
            {**ERROR, "compiler": "gcc", "level": "-O0", "steps": 7, "models": 22, "ratio": 0.1, "same_bits": 20},
        ],
    },
    "onnx_export": {
        "batches": [1, 2, 33],
        "lengths": [1, 500],
        "models": [
            {
                "model": "lstm",
                "rows": [
                    {"graph": "sequence", "ratio": 0.1, "error": 1e-7},
                    {"graph": "step", "ratio": 0.09, "error": 3e-7},
                ],
            },
            {"model": "both ways", "rows": [{"graph": "sequence", "ratio": 0.02, "error": 1e-7}]},
        ],
    },
    "sound": {
        "models": 213,
        "runs": 5123,
        "over": 0,
        "models_with_open_runs": 31,
        "worst_ratio": 0.98765,
        "mutants": 901,
        "missed": 0,
    },
    "leaks": {"events": 1_000_000, "streams": 1000, "differing": 0, "seconds": 60.0},
    "clone": {
        "demo": {"seconds": 301.0, "install_seconds": 61.0},
        "test": {"seconds": 120.0, "install_seconds": 15.0},
    },
}
