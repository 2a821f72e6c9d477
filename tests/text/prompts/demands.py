"""Parts of templates that demand something of a conversation, and one that writes it."""

from typing import Any

WRITE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls %}[{{ c.function.name }}]{% endfor %}"
)
WRITE += "{% endfor %}<assistant>"


def _unless(condition: str, reason: str, *, each: bool = True) -> str:
    check = f"{{% if not ({condition}) %}}{{{{ raise_exception('{reason}') }}}}{{% endif %}}"
    return f"{{% for m in messages %}}{check}{{% endfor %}}" if each else check


NO_SYSTEM = _unless("m.role != 'system'", "no system role")
SYSTEM_FIRST = _unless("m.role != 'system' or loop.first", "system comes first")
ONE_CALL = _unless("not m.tool_calls or m.tool_calls | length == 1", "one call at once")
NO_TOOLS = _unless("m.role != 'tool' and not m.tool_calls", "no tools")
KNOWN = _unless("m.role in ('system', 'user', 'assistant', 'tool')", "unknown role")
ASKED = _unless("messages | selectattr('role', 'equalto', 'user') | list", "no user", each=False)
USER_FIRST = _unless(
    "messages | rejectattr('role', 'equalto', 'system') | map(attribute='role') | first == 'user'",
    "the user comes first",
    each=False,
)
BY_PLACE = (
    "{% set rest = messages[1:] if messages[0].role == 'system' else messages %}{% for m in rest %}"
    "{% if m.role != 'tool' and not m.tool_calls and (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}"
)
"""Alternation as Llama 2 and Gemma demand it."""
WITHOUT_CALLS = (
    "{% set ns = namespace(place=0) %}{% for m in messages %}"
    "{% if m.role == 'user' or (m.role == 'assistant' and not m.tool_calls) %}"
    "{% if (m.role == 'user') != (ns.place % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% set ns.place = ns.place + 1 %}{% endif %}{% endfor %}"
)
"""As Mistral does."""
STRICT = _unless("m.role == ('user' if loop.index0 % 2 == 0 else 'assistant')", "user, assistant, user")
SILENT = (
    "{% if messages[0].role == 'system' %}<system>{{ messages[0].content }}{% endif %}"
    "{% for m in messages %}{% if m.role in ('user', 'assistant') %}<{{ m.role }}>{{ m.content }}{% endif %}"
    "{% endfor %}"
)
"""Leaves out what it doesn't expect."""


def said(role: str, content: str, *calls: str) -> dict[str, Any]:
    """A message of /api/chat with calls of these tools."""
    return {"role": role, "content": content, "tool_calls": [{"function": {"name": name}} for name in calls]}
