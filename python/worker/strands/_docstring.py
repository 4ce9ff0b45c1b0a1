"""What a docstring says of the parameters, in the styles that the SDK reads.

Google, reST and NumPy; of several that fit, the one that describes most. The
texts are the same as docstring_parser, which the SDK uses, makes of them.
"""

import inspect
import re

_GOOGLE_TITLE = re.compile(
    r"^(Arguments|Args|Parameters|Params|Raises|Exceptions|Except|Attributes|Example|Examples|Returns|Yields):[ \t\r\f\v]*$",
    re.M,
)
_GOOGLE_LISTS = ("Arguments", "Args", "Parameters", "Params", "Attributes")
_GOOGLE_TYPED = re.compile(r"\s*(.+?)\s*\(\s*(.*[^\s]+)\s*\)")
_REST_KEYS = ("param", "parameter", "arg", "argument", "attribute", "key", "keyword")
_NUMPY_TITLE = re.compile(r"^([A-Z][A-Za-z ]+?)[ \t]*\n(-+)[ \t]*$", re.M)
_NUMPY_LISTS = (
    "Parameters", "Params", "Arguments", "Args", "Other Parameters", "Other Params", "Other Arguments", "Other Args",
    "Receives", "Receive", "Attributes", "Attribute",
)  # fmt: skip
_NUMPY_KEY = re.compile(r"^(.*?)(?:\s*:\s*.*?)?$")

_SKIP = ("args:", "arguments:", "parameters:", "param:", "params:")
_RESUME = (
    "returns:", "return:", "yields:", "yield:", "raises:", "raise:", "except:", "exceptions:", "examples:", "example:",
    "note:", "notes:", "see also:", "seealso:", "references:", "ref:",
)  # fmt: skip

_Found = tuple[dict[str, str], int]  # the descriptions, and how much was understood in all


def parameters(text: str) -> dict[str, str]:
    """The descriptions of parameters by name."""
    text = inspect.cleandoc(text)  # once more than needed, as docstring_parser does: it moves some indents
    best: _Found = ({}, 0)
    for style in (_rest, _google, _numpy):
        found = style(text)
        if found is not None and found[1] > best[1]:
            best = found
    return best[0]


def description(text: str) -> str:
    """The docstring without its section of parameters."""
    kept, skipping = [], False
    for line in text.strip().split("\n"):
        start = line.strip().lower()
        if start.startswith(_SKIP):
            skipping = True
            continue
        if start.startswith(_RESUME):
            skipping = False
        if not skipping:
            kept.append(line)
    return "\n".join(kept).strip()


def _dedented(text: str) -> str:
    """The first line as it is, the others without their common indent."""
    first, newline, rest = text.partition("\n")
    return first + newline + inspect.cleandoc(rest) if newline else text


def _rest(text: str) -> _Found | None:
    found: dict[str, str] = {}
    begin = re.search("^:", text, re.M)
    count = 0
    for chunk in re.findall(r"(^:.*?)(?=^:|\Z)", text[begin.start() :], re.S | re.M) if begin else ():
        head, colon, body = chunk.lstrip(":").partition(":")
        words = head.split()
        if not colon or not words:
            return None
        if words[0] in ("type", "rtype"):
            continue
        count += 1
        if words[0] in _REST_KEYS:
            if len(words) not in (2, 3):
                return None
            found[words[-1]] = _dedented(body.strip())
    return found, count


def _google(text: str) -> _Found | None:
    titles = list(_GOOGLE_TITLE.finditer(text))
    sections: dict[str, str] = {}
    for title, following in zip(titles, [*titles[1:], None]):
        body = text[title.end() : following.start() if following else len(text)]
        if stray := re.search(r"\n\S", body):
            body = body[: stray.start()]
        sections[title.group(1)] = body.strip("\n")
    found: dict[str, str] = {}
    count = 0
    for name, body in sections.items():
        if name in ("Example", "Examples", "Returns", "Yields"):
            count += 1
            continue
        indent = body[: len(body) - len(body.lstrip())]
        starts = list(re.finditer("^" + re.escape(indent) + r"(?=\S)", body, re.M))
        if not starts:
            return None
        for start, following in zip(starts, [*starts[1:], None]):
            item = body[start.end() : following.start() if following else len(body)].strip("\n")
            head, colon, said = item.partition(":")
            if not colon:
                return None
            count += 1
            if name in _GOOGLE_LISTS:
                typed = _GOOGLE_TYPED.match(_dedented(head))
                found[typed.group(1) if typed else _dedented(head)] = _dedented(said[1:] if said[:1] == " " else said).strip("\n")
    return found, count


def _numpy(text: str) -> _Found | None:
    titles = [m for m in _NUMPY_TITLE.finditer(text) if len(m.group(1)) == len(m.group(2))]
    found: dict[str, str] = {}
    count = 0
    for title, following in zip(titles, [*titles[1:], None]):
        body = inspect.cleandoc(text[title.end() : following.start() if following else len(text)])
        keys = list(re.finditer(r"^[^\s].*$", body, re.M))
        if title.group(1) not in _NUMPY_LISTS:
            count += 1
            continue
        for key, after in zip(keys, [*keys[1:], None]):
            count += 1
            said = inspect.cleandoc(body[key.end() : after.start() if after else len(body)]).strip()
            if name := _NUMPY_KEY.match(key.group()):
                found[name.group(1)] = said
    return found, count
