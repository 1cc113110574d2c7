#!/usr/bin/env python3
"""Checks that crates and modules use only what lies below them (layers.txt), and that none import each other in a circle.

    layers.py                everything; exit status 1 when something is wrong
    layers.py --self-test    the check itself, on crates with planted faults
    layers.py --edges CRATE  prints which module of the crate uses which

Modules beside each other are compared: those that have the same parent, each with all that is below it. A module
and its parent may name each other, as Rust's `impl` blocks in several files do. A name that a module only hands on
(`pub use`) counts for the module that defines it. Test modules are left out.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

COMMENT_OR_TEXT = re.compile(
    r"""//[^\n]*|/\*.*?\*/|r(\#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?'(?:\\.|[^'\\\n])'""", re.S
)
PATH = re.compile(r"\b(?:crate|super|self)(?:::\w+)+")
USE = re.compile(r"(\bpub(?:\([^)]*\))?\s+)?\buse\s+([^;]+);")
MODULE = re.compile(r"(#\[cfg\(test\)\]\s*)?(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*([;{])")


def bare(text):
    """The code without comments and texts, in which words like `use` mean nothing."""
    return COMMENT_OR_TEXT.sub(" ", text)


def without_inline_tests(code):
    """Cuts `#[cfg(test)] mod name { … }` out."""
    kept, at = [], 0
    for found in MODULE.finditer(code):
        if found.start() < at or not found[1] or found[3] != "{":
            continue
        depth, end = 1, found.end()
        while depth and end < len(code):
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
        kept.append(code[at : found.start()])
        at = end
    return "".join(kept) + code[at:]


def leaves(tree):
    """The paths of a use tree: `a::{b, c as d}` holds (a::b, b) and (a::c, d)."""
    tree = tree.strip()
    brace = tree.find("{")
    if brace < 0:
        path, _, name = tree.partition(" as ")
        path = re.sub(r"\s", "", path)
        yield path, (name.strip() or path.rsplit("::", 1)[-1])
        return
    head, inner = tree[:brace], tree[brace + 1 : tree.rindex("}")]
    depth, start = 0, 0
    for at, sign in enumerate(inner + ","):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            if inner[start:at].strip():
                for path, name in leaves(inner[start:at]):
                    if path == "self":
                        yield head.rstrip(": "), head.rstrip(": ").rsplit("::", 1)[-1]
                    else:
                        yield re.sub(r"\s", "", head) + path, name
            start = at + 1


class Crate:
    """The modules of one crate and what each names. A module is a tuple of names; the root is ()."""

    def __init__(self, source):
        self.children, self.handed_on, self.code = defaultdict(set), defaultdict(dict), {}
        self.everything_of = defaultdict(list)
        for root in ("lib.rs", "main.rs"):
            if (source / root).exists():
                self.read((), source / root, source)
                break

    def read(self, module, file, folder):
        code = without_inline_tests(bare(file.read_text()))
        self.code[module] = code
        for is_test, name, _ in ((m[1], m[2], m[3]) for m in MODULE.finditer(code) if m[3] == ";"):
            below = next((f for f in (folder / f"{name}.rs", folder / name / "mod.rs") if f.exists()), None)
            if is_test or below is None:
                continue
            self.children[module].add(name)
            self.read(module + (name,), below, folder / name)
        for public, tree in USE.findall(code):
            for path, name in leaves(tree):
                if name == "*" and public:
                    self.everything_of[module].append(path[:-3])
                elif public or path.split("::")[0] in self.children[module]:
                    self.handed_on[module][name] = path

    def resolve(self, module, path, depth=0):
        """The module that defines what `path` names when written in `module`; None when another crate does."""
        words = path.split("::")
        if words[0] == "crate":
            at, words = (), words[1:]
        elif words[0] == "self":
            at, words = module, words[1:]
        elif words[0] == "super":
            at = module
            while words and words[0] == "super":
                at, words = at[:-1], words[1:]
        elif words[0] in self.children[module]:
            at = module
        else:
            return None
        for number, word in enumerate(words):
            if word in self.children[at]:
                at += (word,)
                continue
            rest = "::".join(words[number + 1 :])
            target = self.handed_on[at].get(word)
            candidates = [target] if target else self.from_everything(at, word)
            for candidate in candidates if depth < 20 else []:
                found = self.resolve(at, candidate + ("::" + rest if rest else ""), depth + 1)
                if found is not None and found != at:
                    return found
            return at
        return at

    def from_everything(self, module, word):
        """Where a name may come from that `module` hands on with `*`."""
        for every in self.everything_of[module]:
            source = self.resolve(module, every)
            if source is not None and self.has(source, word):
                yield f"{every}::{word}"

    def has(self, module, word):
        """Whether a module defines a name or hands it on."""
        defined = rf"\b(?:struct|enum|trait|fn|const|static|type|union|macro_rules!)\s+{word}\b"
        if word in self.handed_on[module] or re.search(defined, self.code[module]):
            return True
        return any(True for _ in self.from_everything(module, word))

    def named(self):
        """(module, module that it names, the name), each once."""
        seen = set()
        for module, code in self.code.items():
            paths = [path for _, tree in USE.findall(code) for path, _ in leaves(tree)]
            paths += PATH.findall(USE.sub(" ", code))
            for path in paths:
                target = self.resolve(module, path.removesuffix("::*"))
                if target is not None and target != module:
                    seen.add((module, target, path.rsplit("::", 1)[-1]))
        return sorted(seen)

    def edges(self):
        """By parent: which child names which other child, and by what."""
        edges = defaultdict(lambda: defaultdict(set))
        for module, target, name in self.named():
            shared = 0
            while shared < min(len(module), len(target)) and module[shared] == target[shared]:
                shared += 1
            if shared < len(module) and shared < len(target):
                pair = module[shared], target[shared]
                edges[module[:shared]][pair].add(f"{'::'.join(module)} names {'::'.join(target)}::{name}")
        return edges

    def circles(self):
        """(parent, its children that name each other in a circle, the names)."""
        for parent, pairs in sorted(self.edges().items()):
            for circle in strongly_connected(pairs):
                inside = {pair: names for pair, names in pairs.items() if set(pair) <= circle}
                yield parent, circle, inside


def strongly_connected(pairs):
    """The sets of two or more nodes that reach each other."""
    next_of = defaultdict(set)
    for a, b in pairs:
        next_of[a].add(b)

    def reach(start):
        seen, todo = set(), [start]
        while todo:
            for node in next_of[todo.pop()] - seen:
                seen.add(node)
                todo.append(node)
        return seen

    reached = {node: reach(node) for node in list(next_of)}
    circles = {frozenset(b for b in reached[a] if a in reached.get(b, ())) for a in reached}
    return sorted((circle for circle in circles if len(circle) > 1), key=sorted)


def table(text):
    """The sections of layers.txt: {"crates": {name: {allowed}}, "modules PATH": [name, lowest first]}."""
    sections, current = {}, None
    for line in (line.split("#")[0].strip() for line in text.splitlines()):
        if line.startswith("["):
            current = sections.setdefault(line[1:-1], [])
        elif line:
            current.append(line)
    if "crates" in sections:
        pairs = (line.split(":") for line in sections["crates"])
        sections["crates"] = {name: set(allowed.split()) for name, allowed in pairs}
    return sections


def wrong_crates(allowed, packages):
    """Dependencies between crates of the workspace, tests left out, that the table does not allow."""
    names = {package["name"] for package in packages}
    for package in packages:
        used = {d["name"] for d in package["dependencies"] if d["kind"] != "dev"} & names
        if package["name"] not in allowed:
            yield f"{package['name']} is not in the table of crates"
        for name in sorted(used - allowed.get(package["name"], set())):
            yield f"{package['name']} must not depend on {name}"


def wrong_modules(order, crate):
    """Uses of a module that is not below its user."""
    place = {name: at for at, name in enumerate(order)}
    present = crate.children[()]
    for name in sorted(present - place.keys()):
        yield f"module {name} is not in the table"
    for name in sorted(place.keys() - present):
        yield f"there is no module {name}"
    for (user, used), names in sorted(crate.edges()[()].items()):
        if user in place and used in place and place[used] >= place[user]:
            yield "\n    ".join([f"module {user} must not use {used}:", *sorted(names)])


def circles(path, crate):
    for parent, circle, pairs in crate.circles():
        lines = [f"{path}, circle in {'::'.join(('crate',) + parent)}: {', '.join(sorted(circle))}"]
        for pair, names in sorted(pairs.items()):
            lines.append(f"  {pair[0]} -> {pair[1]}")
            lines += [f"    {name}" for name in sorted(names)]
        yield "\n".join(lines)


def check():
    sections = table((Path(__file__).parent / "layers.txt").read_text())
    root = Path(__file__).resolve().parent.parent
    command = ["cargo", "metadata", "--no-deps", "--locked", "--format-version=1"]
    packages = json.loads(subprocess.run(command, check=True, capture_output=True, cwd=root).stdout)["packages"]
    wrong = list(wrong_crates(sections["crates"], packages))
    for package in packages:
        path = Path(package["manifest_path"]).parent
        wrong += circles(package["name"], Crate(path / "src"))
    for section, order in sections.items():
        if section.startswith("modules "):
            wrong += wrong_modules(order, Crate(root / section.split()[1] / "src"))
    return wrong


def self_test():
    """Plants one fault of each kind, and looks that it is found and nothing else is."""

    def planted(files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                file = Path(folder) / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            return Crate(Path(folder))

    def found(files):
        return [sorted(circle) for _, circle, _ in planted(files).circles()]

    two = {"lib.rs": "mod a;\npub mod b;\npub use a::A;"}
    assert found(two | {"a.rs": "pub struct A;", "b.rs": "use crate::A;"}) == []
    assert found(two | {"a.rs": "use crate::b::B;", "b.rs": "use crate::A;"}) == [["a", "b"]], "a name handed on"
    assert found(two | {"a.rs": "fn f() { super::b::g() }", "b.rs": "use super::{a::{self, A}};"}) == [["a", "b"]]
    assert found(two | {"a.rs": "// use crate::b;\nconst T: &str = \"use crate::b;\";", "b.rs": "use crate::A;"}) == []
    tests = "#[cfg(test)]\nmod tests { use crate::b::B; }"
    assert found(two | {"a.rs": tests, "b.rs": "use crate::A;"}) == [], "tests may look everywhere"
    three = {"lib.rs": "mod a; mod b; mod c;", "b.rs": "use crate::c::C;", "c.rs": "use crate::a::deep::D;"}
    deep = {"a.rs": "mod deep;", "a/deep.rs": "use crate::b::B;"}
    assert found(three | deep) == [["a", "b", "c"]], "a circle of three, through a module below"
    all_of_two = {"lib.rs": "mod a; mod b; pub use a::*; pub use b::*;"}
    assert found(all_of_two | {"a.rs": "pub struct A;", "b.rs": "use crate::A; pub struct B;"}) == []
    assert found(all_of_two | {"a.rs": "use crate::B; pub struct A;", "b.rs": "use crate::A; pub struct B;"}) == [["a", "b"]]
    inner = {"lib.rs": "mod p;", "p.rs": "mod x; mod y;", "p/x.rs": "use super::y::Y;", "p/y.rs": "use super::x::X;"}
    assert found(inner) == [["x", "y"]], "a circle within a module"
    parent = {"lib.rs": "mod p;", "p.rs": "mod x; use x::X; pub struct P;", "p/x.rs": "use super::P;"}
    assert found(parent) == [], "a module and its parent"

    crate = planted(two | {"a.rs": "use crate::b::B;", "b.rs": ""})
    assert list(wrong_modules(["b", "a"], crate)) == []
    assert "module a must not use b" in next(wrong_modules(["a", "b"], crate))
    assert list(wrong_modules(["b"], crate)) == ["module a is not in the table"]
    packages = [
        {"name": "low", "dependencies": [{"name": "high", "kind": "dev"}]},
        {"name": "high", "dependencies": [{"name": "low", "kind": None}, {"name": "serde", "kind": None}]},
    ]
    allowed = table("[crates]\nlow:\nhigh: low # fine")["crates"]
    assert list(wrong_crates(allowed, packages)) == []
    packages[0]["dependencies"][0]["kind"] = None
    assert list(wrong_crates(allowed, packages)) == ["low must not depend on high"]
    print("the check finds what was planted")


def main(arguments):
    if arguments[:1] == ["--self-test"]:
        return self_test()
    if arguments[:1] == ["--edges"]:
        for parent, pairs in sorted(Crate(Path(arguments[1]) / "src").edges().items()):
            for (user, used), names in sorted(pairs.items()):
                print(f"{'::'.join(parent) or 'crate'}: {user} -> {used}  ({len(names)})")
        return None
    wrong = check()
    print("\n".join(wrong) or "every crate and module uses only what lies below it")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
