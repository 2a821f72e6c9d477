"""What a server says."""

import json

LOADED = '{"model":"m","response":"","done":true,"done_reason":"load"}'
TIMES = {
    "total_duration": 1234567891,
    "load_duration": 12300000,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 130000000,
    "eval_count": 259,
    "eval_duration": 4232700000,
}
VERBOSE = """\
total duration:       1.234567891s
load duration:        12.3ms
prompt eval count:    26 token(s)
prompt eval duration: 130ms
prompt eval rate:     200.00 tokens/s
eval count:           259 token(s)
eval duration:        4.2327s
eval rate:            61.19 tokens/s
"""
"""`TIMES`, as `--verbose` shows them."""
FAILED = '{"response":"","done":true,"done_reason":"error","eval_count":1,"error":"out of memory"}\n'


def generated(*pieces: str, **final: object) -> str:
    chunks = [{"model": "m", "response": piece, "done": False} for piece in pieces]
    return "".join(json.dumps(line) + "\n" for line in [*chunks, {"response": "", "done": True, **final}])


def said(*pieces: str) -> str:
    chunks = [{"message": {"role": "assistant", "content": piece}, "done": False} for piece in pieces]
    done = {"message": {"role": "assistant", "content": ""}, "done": True, **TIMES}
    return "".join(json.dumps(line) + "\n" for line in [*chunks, done])


def steps(*lines: dict[str, object] | str) -> str:
    """The answer to a pull, a push or a create; texts are statuses."""
    return "".join(json.dumps({"status": line} if isinstance(line, str) else line) + "\n" for line in lines)


def moved(digest: str, total: int, completed: int) -> dict[str, object]:
    """A line of a pull."""
    return {"status": f"pulling {digest[7:19]}", "digest": digest, "total": total, "completed": completed}
