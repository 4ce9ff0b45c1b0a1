package pyenv

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// systemRoots are what C code of any interpreter reads: the dynamic loader
// and its cache, shared libraries (Debian selects its BLAS in
// /etc/alternatives), time zones, terminals, and fonts.
var systemRoots = []string{
	"/lib", "/lib64", "/usr/lib", "/usr/lib64",
	"/etc/ld.so.cache", "/etc/alternatives",
	"/usr/share/zoneinfo", "/usr/share/terminfo", "/usr/share/fonts",
}

// sharedRoots are read by an interpreter that lives in a prefix which is the
// whole system: what distributions split off their packages, such as
// matplotlib's data.
var sharedRoots = []string{
	"/usr/local/lib", "/usr/local/lib64", "/usr/local/share/fonts",
	"/usr/share/matplotlib", "/etc/matplotlibrc", "/etc/python3",
}

// wholeSystem are prefixes that must never be opened to a session as such.
var wholeSystem = []string{"/", "/usr", "/usr/local", "/opt", "/home", "/root"}

// roots returns what must be readable to run the interpreter, existing
// entries only and none below another. An entry may be a symbolic link.
func (p *probed) roots() []string {
	want := append([]string{p.Exe}, p.Path...)
	want = append(want, p.Stdlib...)
	want = append(want, p.Library...)
	if runtime.GOOS == "linux" {
		want = append(want, systemRoots...)
		if strings.HasPrefix(p.Exe, "/nix/store/") {
			want = append(want, "/nix/store")
		}
	}
	for _, prefix := range []string{p.Prefix, p.Base, p.BaseExec} {
		if !slices.Contains(wholeSystem, filepath.Clean(prefix)) {
			want = append(want, prefix)
			continue
		}
		if runtime.GOOS == "linux" {
			want = append(want, sharedRoots...)
		}
	}
	return outermost(want)
}

// outermost returns the existing paths of list, sorted, without those that
// lie below another.
func outermost(list []string) []string {
	var clean []string
	for _, path := range list {
		if !filepath.IsAbs(path) {
			continue
		}
		if _, err := os.Stat(path); err == nil {
			clean = append(clean, filepath.Clean(path))
		}
	}
	slices.Sort(clean)
	var out []string
	for _, path := range clean {
		if !slices.ContainsFunc(out, func(dir string) bool { return within(path, dir) }) {
			out = append(out, path)
		}
	}
	return out
}

// within reports whether path is dir or lies below it. Both are clean.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}
