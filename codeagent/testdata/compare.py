"""Compare declarations found without Python with what the ast module finds.

Reads decls*.json, lists of [file, module] as package pydecl marshals it, and
prints one line per difference.
"""

import ast
import glob
import inspect
import json


def clean(doc):
    lines = inspect.cleandoc(doc or "").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def decorated(node, name):
    return any(ast.unparse(d).split("(")[0].split(".")[-1] == name for d in node.decorator_list)


def never_runs(node):
    test = node.test
    if isinstance(test, ast.Name) or isinstance(test, ast.Attribute):
        return ast.unparse(test).split(".")[-1] == "TYPE_CHECKING"
    return ast.unparse(test).startswith("__name__")


DECLARATIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def branches(node):
    """The blocks of a compound statement that belong to the scope around it."""
    if not (isinstance(node, ast.If) and never_runs(node)):
        yield getattr(node, "body", [])
    for handler in getattr(node, "handlers", []) + getattr(node, "cases", []):
        yield handler.body
    yield getattr(node, "orelse", [])
    yield getattr(node, "finalbody", [])


def declarations(body):
    found = []

    def add(node, conditional):
        accessors = [f"{node.name}.{a}" for a in ("setter", "deleter", "getter")]
        before = next((n for n in found if n.name == node.name), None)
        if before is None or decorated(node, "overload"):
            found.append(node)
        elif not (
            conditional
            or any(ast.unparse(d) in accessors for d in node.decorator_list)
            or decorated(before, "overload")
        ):
            found.remove(before)
            found.append(node)

    def walk(statements, conditional):
        for node in statements:
            if isinstance(node, DECLARATIONS):
                add(node, conditional)
            else:
                for block in branches(node):
                    walk(block, True)

    walk(body, False)
    return found


def signature(node):
    if isinstance(node, ast.ClassDef):
        return [ast.unparse(n) for n in node.bases + [k.value for k in node.keywords]]
    return ast.unparse(node.args) + " -> " + (ast.unparse(node.returns) if node.returns else "")


def expected(node):
    is_class = isinstance(node, ast.ClassDef)
    return {
        "name": node.name,
        "kind": int(is_class),
        "async": isinstance(node, ast.AsyncFunctionDef),
        "line": node.lineno,
        "doc": clean(ast.get_docstring(node, clean=False)),
        "signature": signature(node),
        "decorators": [ast.unparse(d) for d in node.decorator_list],
        "inside": [expected(n) for n in declarations(node.body)] if is_class else [],
    }


def actual(decl):
    keyword = "class" if decl["Kind"] else "async def" if decl["Async"] else "def"
    node = ast.parse(f"{keyword} {decl['Name']}{decl['Signature']}: pass").body[0]
    return {
        "name": decl["Name"],
        "kind": decl["Kind"],
        "async": decl["Async"],
        "line": decl["Line"],
        "doc": decl["Doc"],
        "signature": signature(node),
        "decorators": [ast.unparse(ast.parse(d, mode="eval")) for d in decl["Decorators"] or []],
        "inside": [actual(d) for d in decl["Decls"] or []],
    }


def expected_imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for a in node.names:
                yield [node.lineno, 0, a.name, "", a.asname or a.name.split(".")[0]]
        elif isinstance(node, ast.ImportFrom):
            for a in node.names:
                bound = "" if a.name == "*" else a.asname or a.name
                yield [node.lineno, node.level, node.module or "", a.name, bound]


def first_difference(file, want, got):
    names = [d["name"] for d in want], [d["name"] for d in got]
    if names[0] != names[1]:
        return f"{file}: names {names[0]} and not {names[1]}"
    for w, g in zip(want, got):
        for key in w:
            if w[key] == g[key]:
                continue
            if key == "inside":
                return first_difference(f"{file}: {w['name']}", w[key], g[key])
            return f"{file}: {w['name']}: {key} {w[key]!r} and not {g[key]!r}"
    return None


def compare(file, tree, module):
    yield first_difference(
        file, [expected(n) for n in declarations(tree.body)], [actual(d) for d in module["Decls"] or []]
    )
    want = sorted(expected_imports(tree))
    got = sorted([i[k] for k in ("Line", "Level", "Module", "Name", "As")] for i in module["Imports"] or [])
    if want != got:
        yield f"{file}: imports {[i for i in want if i not in got]} and not {[i for i in got if i not in want]}"
    if clean(ast.get_docstring(tree, clean=False)) != module["Doc"]:
        yield f"{file}: another docstring"


def main():
    modules = []
    for name in glob.glob("decls*.json"):
        with open(name) as f:
            modules += json.load(f)
    compared = 0
    for file, module in modules:
        try:
            with open(file, "rb") as f:
                tree = ast.parse(f.read())
        except SyntaxError:
            continue  # a sample of what is no Python, or no longer
        compared += 1
        for difference in compare(file, tree, module):
            if difference:
                print(difference)
    print(f"compared {compared} files")


main()
