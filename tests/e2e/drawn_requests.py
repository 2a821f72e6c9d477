"""Requests drawn at random for every route: mostly right, with something wrong here and there."""

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
from hypothesis import strategies as st
from tests.e2e.bodies import ANYTHING, TEXTS, Json, Special, bodies, encoded

from swell.api.anthropic.bodies import CountRequest, MessagesRequest
from swell.api.app import ROUTES
from swell.api.ollama.bodies import ChatBody, EmbedBody, EmbeddingsBody, GenerateBody, ShowBody
from swell.api.ollama.create import CreateBody
from swell.api.ollama.library import CopyBody, DeleteBody, TransferBody
from swell.api.openai.bodies import ChatRequest, CompletionRequest, EmbeddingRequest, ResponseRequest
from swell.options import Options

NOBODY = "http://127.0.0.1:1"
BASE = "base"
"""A model of the store that no request deletes or overwrites."""

BODIES: dict[str, type[msgspec.Struct]] = {
    "/api/show": ShowBody,
    "/api/generate": GenerateBody,
    "/api/chat": ChatBody,
    "/api/embed": EmbedBody,
    "/api/embeddings": EmbeddingsBody,
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/v1/embeddings": EmbeddingRequest,
    "/v1/responses": ResponseRequest,
    "/v1/responses/input_tokens": ResponseRequest,
    "/v1/messages": MessagesRequest,
    "/v1/messages/count_tokens": CountRequest,
}

CHANGES: dict[str, type[msgspec.Struct]] = {
    "/api/create": CreateBody,
    "/api/copy": CopyBody,
    "/api/delete": DeleteBody,
    "/api/pull": TransferBody,
    "/api/push": TransferBody,
}
"""Which models there are is changed by these. A transfer has a process of its own, so there are fewer of them."""
UPLOAD = "/api/blobs/{digest}"
"""Takes a body that is no JSON."""
REFUSED = ("/api/me", "/api/signout", "/api/experimental/web_search", "/api/experimental/web_fetch")
"""Ollama's cloud, whatever the body is."""
ENDLESS = "/api/events"
"""What happens, as it happens: who asks for it is told the beginning and leaves."""

METHODS = {path: methods for routes in ROUTES.values() for path, (methods, _) in routes.items()}


class Known(NamedTuple):
    """Two tiny models, the digest of a blob that is a model's file, and the name of a model that a registry has."""

    speller: str
    encoder: str
    digest: str
    remote: str


PARTS = st.sampled_from(
    (
        {"type": "text", "text": "Hi"},
        {"type": "input_text", "text": "Hi"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image", "source": {"type": "base64", "data": "aGk="}},
        {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
        {"type": "tool_result", "tool_use_id": "1", "content": "x"},
        {"type": "thinking", "thinking": "Hm."},
        {"type": "refusal", "refusal": "No."},
        {"type": "document", "source": {"type": "text", "data": "x"}},
    )
)
ITEMS = st.sampled_from(
    (
        {"role": "user", "content": "Hi"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "x"},
        {"type": "reasoning", "encrypted_content": "Hm."},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "custom_tool_call", "call_id": "1", "name": "f", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "1", "output": {"a": 1}},
        {
            "type": "additional_tools",
            "tools": [{"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "f"}]}],
        },
    )
)
FEW = st.sampled_from((0, 1, 2, 3))


def _options() -> Special:
    """A model that is loaded again has a new process, of which it can't be told whether it leaks: so that is rare."""
    reloading = ("num_gpu", "main_gpu", "use_mmap")
    return {"num_predict": FEW, "num_ctx": st.sampled_from((None, 0, 4, 100)), **dict.fromkeys(reloading, st.none())}


def _usual_fields(path: str, known: Known) -> Special:
    """Fields that random values would hardly ever get right, or that would make the test slow."""
    usual, unusual = (known.encoder, known.speller) if "embed" in path else (known.speller, known.encoder)
    names = (*[usual] * 40, *[unusual] * 4, "", "nonesuch", "a b", "/", "/dev/null", "../x", "a\x00.gguf")
    return {
        "model": st.sampled_from(names),
        "keep_alive": st.sampled_from((*[None] * 9, "5m", 60, -1, "10", True)),
        "options": st.one_of(bodies(Options, _options()), bodies(Options, _options()), ANYTHING),
        "num_predict": FEW,
        "top_logprobs": st.sampled_from((0, 1, 2, 21)),
        "max_tokens": FEW,
        "max_completion_tokens": FEW,
        "max_output_tokens": FEW,
        "n": st.sampled_from((1, 1, 1, 2)),
        "role": st.sampled_from(("user", "user", "assistant", "system", "tool", "developer")),
        "content": TEXTS
        if path.startswith("/api/")
        else st.one_of(TEXTS, st.lists(PARTS, max_size=3), st.lists(ANYTHING, max_size=2)),
        "input": st.one_of(TEXTS, st.lists(TEXTS, max_size=3), st.lists(ITEMS, max_size=3), ANYTHING),
        "prompt": st.one_of(TEXTS, st.lists(TEXTS, max_size=2)) if path == "/v1/completions" else TEXTS,
        "messages": None,
        "format": st.sampled_from((*[None] * 7, "json", {"type": "object"}, {"type": 5}, "x", 5)),
        "think": st.sampled_from((None, None, True, False, "low", "x")),
        "images": st.sampled_from((*[[]] * 15, ["aGk="])),
        "suffix": st.sampled_from((*[""] * 15, "x")),
        "template": st.sampled_from((*[""] * 15, "{{ .Prompt }}", "{{ x", "{% if %}")),
        "context": st.sampled_from((*[[]] * 7, [1, 2], [-1])),
        "previous_response_id": st.sampled_from((*[None] * 15, "x")),
        "conversation": st.sampled_from((*[None] * 15, "x")),
        "background": st.sampled_from((*[False] * 15, True)),
        "reasoning_effort": st.sampled_from((None, None, "none", "high", "x")),
        "effort": st.sampled_from((None, None, "none", "high", "x")),
        "encoding_format": st.sampled_from(("float", "float", "base64", "x")),
        "_debug_render_only": st.sampled_from((*[False] * 15, True)),
    }


WHOLE = st.sampled_from(
    (
        None,
        -(2**63),
        -(10**30),
        -2,
        -1,
        0,
        1,
        2,
        3,
        17,
        511,
        4096,
        2**31 - 1,
        2**31,
        2**53,
        2**63,
        10**30,
        1e-300,
        1e300,
    )
)
KEEP_ALIVES = st.one_of(
    WHOLE,
    st.sampled_from(
        (True, "", "0", "-1", "1ns", "9999999999h", "-9999999999h", "1e12", "NaN", "inf", "5m" * 400, [], {})
    ),
)


def _changed(known: Known) -> Json:
    """Names of models that are made and deleted; nothing else depends on them."""
    names = ("made", "made:b", "made", "other/made", "", "", "a b", "a b", "../x", "/", f"{NOBODY}/library/m")
    return st.sampled_from((*names, known.remote))


def _change_fields(_path: str, known: Known) -> Special:
    digests = st.sampled_from((*[known.digest] * 9, f"sha256:{'0' * 64}", "sha256:x", ""))
    files: Json = st.one_of(st.just({}), st.just({}), st.dictionaries(TEXTS, digests, max_size=2))
    return {
        "model": _changed(known),
        "name": _changed(known),
        "from": st.sampled_from((*[BASE] * 9, known.encoder, "made", "", "a b")),
        "source": st.sampled_from((*[BASE] * 9, "made", "", "a b")),
        "destination": _changed(known),
        "files": files,
        "adapters": st.one_of(st.just({}), files),
        "draft_files": st.one_of(st.just({}), files),
        "quantize": st.sampled_from((*[""] * 15, "q4_0", "x")),
        "quantization": st.just(""),
        "insecure": st.booleans(),
    }


def _fields_of_all_sizes(path: str, known: Known) -> Special:
    """Every number from all of its range. A model is loaded again for many of them, so there are fewer requests."""
    numbers = {name: WHOLE for name in Options.__struct_fields__ if name not in ("stop", "use_mmap", "sched_spread")}
    options = bodies(Options, {**numbers, "use_mmap": st.sampled_from((None, True, False))})
    names = st.sampled_from((*[known.encoder if "embed" in path else known.speller] * 9, known.speller, known.encoder))
    return {
        **_usual_fields(path, known),
        "model": names,
        "keep_alive": KEEP_ALIVES,
        "options": options,
        "raw": st.booleans(),
    }


class Asked(NamedTuple):
    """A request, as text: so a report of a wrong answer shows all of it."""

    method: str
    path: str
    content: bytes


def random_requests(known: Known) -> Json:
    """All that changes no models, and methods and paths that aren't there."""
    routes = st.sampled_from(list(METHODS))
    paths = st.one_of(routes, TEXTS.map(lambda text: f"/v1/models/{text}"), TEXTS.map(lambda text: f"/{text}"))
    methods = st.sampled_from(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
    others = st.builds(Asked, methods, paths, st.binary(max_size=8))
    return st.one_of(*_with_bodies(BODIES, known, _usual_fields), others)


def requests_of_all_sizes(known: Known) -> Json:
    """The same paths with numbers of any size."""
    return st.one_of(*_with_bodies(BODIES, known, _fields_of_all_sizes))


def random_changes(known: Known) -> Json:
    """What changes which models there are."""
    return st.one_of(*_with_bodies(CHANGES, known, _change_fields), _uploads(known))


def right_changes(known: Known) -> list[Asked]:
    """One request for each path of CHANGES that is answered with 200, in an order in which they are."""
    bodies = {
        "/api/create": {"model": "made", "from": BASE},
        "/api/copy": {"source": "made", "destination": "other/made"},
        "/api/delete": {"model": "other/made"},
        "/api/pull": {"model": known.remote, "insecure": True},
        "/api/push": {"model": known.remote, "insecure": True},
    }
    return [
        Asked("DELETE" if "DELETE" in METHODS[path] else "POST", path, msgspec.json.encode(body))
        for path, body in bodies.items()
    ]


def _with_bodies(
    structs: Mapping[str, type[msgspec.Struct]], known: Known, fields: Callable[[str, Known], Special]
) -> list[Json]:
    return [
        st.builds(
            Asked,
            st.just("POST" if "POST" in METHODS[path] else "DELETE"),
            st.just(path),
            encoded(bodies(struct, fields(path, known))),
        )
        for path, struct in structs.items()
    ]


def _uploads(known: Known) -> Json:
    content = st.sampled_from((b"", b"GGUF", b"x" * 3000))
    right = content.map(lambda data: (f"sha256:{hashlib.sha256(data).hexdigest()}", data))
    wrong = st.tuples(st.sampled_from((known.digest, f"sha256:{'0' * 64}", "sha256:x", "..")), content)
    return st.one_of(right, wrong).map(lambda pair: Asked("POST", f"/api/blobs/{pair[0]}", pair[1]))
