# Prints what the running interpreter is, as JSON. Syntax that Python 3.4 knows:
# it must get far enough there to say that the version is too old.
import json
import os
import sys
import sysconfig


def existing(paths):
    found = []
    for path in paths:
        if path and os.path.exists(path) and path not in found:
            found.append(path)
    return found


def library():
    name, folder = sysconfig.get_config_var("INSTSONAME"), sysconfig.get_config_var("LIBDIR")
    if not name or not folder or not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        return []
    return existing([os.path.join(folder, name)])


def watched(sites):
    # These change when a package is installed or a path file is edited.
    files = [os.path.join(sys.prefix, "pyvenv.cfg")]
    for site in sites:
        files.append(site)
        files += [os.path.join(site, name) for name in sorted(os.listdir(site)) if name.endswith(".pth")]
    return existing(files)


def pip():
    try:
        from importlib.util import find_spec

        spec = find_spec("pip")
        return os.path.dirname(spec.origin) if spec and spec.origin else ""
    except Exception:
        return ""


def main():
    paths = sysconfig.get_paths()
    sites = [paths.get("purelib"), paths.get("platlib")] + [path for path in sys.path if path.endswith("-packages")]
    base = getattr(sys, "_base_executable", None) or sys.executable
    facts = {
        "implementation": sys.implementation.name,
        "version": "%d.%d.%d" % sys.version_info[:3],
        "exe": os.path.realpath(base),
        "prefix": sys.prefix,
        "base": sys.base_prefix,
        "base_exec": sys.base_exec_prefix,
        "path": existing(sys.path),
        "stdlib": existing([paths.get("stdlib"), paths.get("platstdlib")]),
        "library": library(),
        "watched": watched([site for site in existing(sites) if os.path.isdir(site)]),
        "pip": pip(),
    }
    print(json.dumps(facts))


main()
