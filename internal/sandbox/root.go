package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// systemPaths are read by libraries wherever they are: the loader's cache,
// what Debian's BLAS goes through, time zones, fonts.
var systemPaths = []string{
	"/etc/ld.so.cache", "/etc/alternatives", "/usr/share/zoneinfo", "/usr/share/fonts", "/usr/local/share/fonts",
}

// systemPrograms are a shell, the small tools, and what they are linked with.
var systemPrograms = []string{"/bin", "/usr/bin", "/lib", "/lib64", "/usr/lib", "/usr/lib64"}

// ownPaths are a session's own inside its root: what lies there on the host
// would be hidden.
var ownPaths = []string{"/work", "/tmp", "/mnt", "/proc", "/dev", "/sys"}

// rootPlan is the file system of a zygote.
type rootPlan struct {
	Links [][2]string `json:"links"` // path, text of the symbolic link there
	Binds []string    `json:"binds"` // real paths, none below another
}

// planRoot finds what must be bound so that all paths can be reached as they
// are written, symbolic links on the way included. What does not exist is left
// out.
func planRoot(paths []string) (rootPlan, error) {
	links := map[string]string{}
	var binds []string
	for _, p := range paths {
		if !filepath.IsAbs(p) {
			return rootPlan{}, fmt.Errorf("sandbox: %q is not an absolute path", p)
		}
		switch real, err := resolve(filepath.Clean(p), links); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return rootPlan{}, fmt.Errorf("sandbox: resolving %s: %w", p, err)
		case real == "/":
			return rootPlan{}, fmt.Errorf("sandbox: %s is the whole file system; name the folders that are needed", p)
		default:
			binds = append(binds, real)
		}
	}
	slices.Sort(binds)
	plan := rootPlan{Links: [][2]string{}, Binds: []string{}}
	for _, b := range binds {
		if !slices.ContainsFunc(plan.Binds, func(top string) bool { return within(b, top) }) {
			plan.Binds = append(plan.Binds, b)
		}
	}
	for path, text := range links {
		if !slices.ContainsFunc(plan.Binds, func(top string) bool { return within(path, top) }) {
			plan.Links = append(plan.Links, [2]string{path, text})
		}
	}
	slices.SortFunc(plan.Links, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return plan, nil
}

// resolve follows the symbolic links of a clean absolute path, noting each in
// links.
func resolve(path string, links map[string]string) (string, error) {
	done, rest := "/", strings.Split(path, "/")
	for hops := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		if part == "" || part == "." {
			continue
		}
		next := filepath.Join(done, part)
		info, err := os.Lstat(next)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		if hops++; hops > 40 {
			return "", errors.New("too many symbolic links")
		}
		text, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		links[next] = text
		if filepath.IsAbs(text) {
			done = "/"
		}
		rest = append(strings.Split(text, "/"), rest...)
	}
	return done, nil
}

// within reports whether path is dir or below it; both are clean.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// checkOutside refuses paths that a session's own folders would hide.
func checkOutside(plan rootPlan) error {
	for _, b := range plan.Binds {
		for _, own := range ownPaths {
			if within(b, own) {
				return fmt.Errorf("sandbox: %s lies below %s, which is a session's own: move the interpreter or the "+
					"environment elsewhere (STRANDS_CACHE names the folder)", b, own)
			}
		}
	}
	return nil
}
