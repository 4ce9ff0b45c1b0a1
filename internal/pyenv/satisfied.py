# Prints "yes" when the running interpreter has every requirement of argv[2:].
# argv[1] is a folder with pip, for its parser; it may be empty.
import sys
from importlib import import_module, metadata


def parser(folder):
    for module in ("packaging.requirements", "pip._vendor.packaging.requirements"):
        try:
            return import_module(module).Requirement
        except ImportError:
            continue
    if folder:
        sys.path.append(folder)  # after the look-ups above, and never seen by those below
        try:
            return import_module("pip._vendor.packaging.requirements").Requirement
        except ImportError:
            return None
        finally:
            sys.path.remove(folder)
    return None


def has(requirement, extra=""):
    if requirement.url:
        return False
    if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
        return True
    found = metadata.distribution(requirement.name)
    if not requirement.specifier.contains(found.version, prereleases=True):
        return False
    parse = type(requirement)
    wanted = [parse(text) for text in found.requires or []] if requirement.extras else []
    # What an extra adds; that the package itself is complete is its installer's business.
    return all(
        has(each, name)
        for name in requirement.extras
        for each in wanted
        if each.marker and not each.marker.evaluate({"extra": ""})
    )


def satisfied(folder, texts):
    parse = parser(folder)
    try:
        if parse:
            return all(has(parse(text)) for text in texts)
        # Without a parser only a bare name can be looked up.
        return all(metadata.distribution(text) for text in texts)
    except (metadata.PackageNotFoundError, ValueError):
        return False


print("yes" if satisfied(sys.argv[1], sys.argv[2:]) else "no")
