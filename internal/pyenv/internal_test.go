package pyenv

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestRequirementsAreNormalised(t *testing.T) {
	for text, want := range map[string]string{
		"numpy":                               "numpy",
		" Ruamel.YAML ":                       "ruamel-yaml",
		"typing_extensions":                   "typing-extensions",
		"pandas >= 2, <3":                     "pandas<3,>=2",
		"pandas (>=2)":                        "pandas>=2",
		"requests[Socks, use_chardet] == 2.*": "requests[socks,use-chardet]==2.*",
		"tomli; python_version  <  '3.11'":    "tomli; python_version < '3.11'",
		"x===1.0+local":                       "x===1.0+local",
		"Foo @ https://example.com/foo-1.0-py3-none-any.whl": "foo @ https://example.com/foo-1.0-py3-none-any.whl",
	} {
		r, err := parseRequirement(text)
		if err != nil || r.text != want {
			t.Errorf("%q: %q, %v; want %q", text, r.text, err, want)
		}
	}
	a, err := parseRequirements([]string{"B", "a>=1", "b"})
	if err != nil || !slices.Equal(texts(a), []string{"a>=1", "b"}) || names(a) != "a, b" {
		t.Errorf("%v, %v", a, err)
	}
}

func TestRequirementsThatAreRefused(t *testing.T) {
	for text, why := range map[string]string{
		"":                               "begin with a package's name",
		"--index-url=http://evil":        "begin with a package's name",
		"-e .":                           "begin with a package's name",
		"./local":                        "begin with a package's name",
		"/etc/passwd":                    "begin with a package's name",
		"https://example.com/x.whl":      "is no version",
		"numpy pandas":                   "is no version",
		"numpy --pre":                    "is no version",
		"numpy\n--index-url=http://evil": "more than one line",
		"numpy>=1;$(x)":                  "no marker",
		"numpy;":                         "no marker",
		"x @ https://me:hunter2@example.com/x-1-py3-none-any.whl":     "credentials",
		"x @ https://example.com/x-1-py3-none-any.whl?token=hunter2x": "credentials or a query",
		"x @ https://example.com/x-1.tar.gz":                          "not that of a wheel",
		"x @ git+https://example.com/x":                               "no https or file address",
	} {
		_, err := parseRequirements([]string{"fine", text})
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: error %v, want one with %q", text, err, why)
		} else if strings.Contains(err.Error(), "hunter2@") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %q", text, err)
		}
	}
}

// What uv and pip print, as recorded, becomes one line.
func TestFailureInOneLine(t *testing.T) {
	reqs, err := parseRequirements([]string{"pandas", "scipy"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		uv     bool
		output string
		want   InstallError
	}{
		{false, "ERROR: Could not find a version that satisfies the requirement scipy>=99 (from versions: 1.0)\nERROR: No matching distribution found for scipy>=99\n[notice] bye",
			InstallError{Packages: "scipy", Detail: "No matching distribution found for scipy>=99", Missing: true}},
		{false, "WARNING: Retrying after connection broken by 'NameResolutionError(\"HTTPSConnection(host='pypi.org'): Failed to resolve 'pypi.org' ([Errno -3] Temporary failure in name resolution)\")'\n" +
			"ERROR: Could not find a version that satisfies the requirement pandas (from versions: none)",
			InstallError{Packages: "pandas", Detail: "[Errno -3] Temporary failure in name resolution", Unreachable: true}},
		{false, "ERROR: Cannot install scipy==1.15 and scipy==1.16 because these package versions have conflicting dependencies.\n\nThe conflict is caused by:\n    The user requested scipy==1.16\n\n" +
			"ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/",
			InstallError{Packages: "pandas, scipy", Detail: "scipy==1.15 and scipy==1.16 cannot be installed together", Missing: true}},
		{false, "Collecting pandas\nERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
			InstallError{Packages: "pandas, scipy", Detail: "Could not install packages due to an OSError: [Errno 28] No space left on device"}},
		{true, "  × No solution found when resolving dependencies:\n  ╰─▶ Because scipy was not found in the package registry and you require\n      scipy, we can conclude that your requirements are unsatisfiable.",
			InstallError{Packages: "scipy", Detail: "No solution found when resolving dependencies: Because scipy was not found in the package registry and you require scipy, we can conclude that your requirements are unsatisfiable", Missing: true}},
		{true, "error: Failed to fetch: `https://pypi.org/simple/pandas/`\n  Caused by: client error (Connect)\n  Caused by: dns error: failed to lookup address information: Temporary failure in name resolution",
			InstallError{Packages: "pandas, scipy", Detail: "Temporary failure in name resolution", Unreachable: true}},
	} {
		inst := installer{python: "3.14.6"}
		if c.uv {
			inst.uv = "uv"
		}
		c.want.uv, c.want.python = c.uv, "3.14.6"
		got := inst.failure(reqs, strings.Split(c.output, "\n"), errors.New("exit status 1"))
		if e, ok := got.(*InstallError); !ok || *e != c.want {
			t.Errorf("%q:\n got %+v\nwant %+v", c.output, got, c.want)
		}
	}
}

func TestRootsKeepTheSystemClosed(t *testing.T) {
	p := probed{Exe: "/usr/bin/env", Prefix: "/usr", Base: "/usr", BaseExec: "/usr", Path: []string{"/usr/lib"}}
	for _, root := range p.roots() {
		if slices.Contains(wholeSystem, root) || root == "/usr/bin" || root == "/etc" {
			t.Errorf("%s is open to sessions", root)
		}
	}
	if got := outermost([]string{"/usr/lib", "/usr", "/usr/../usr/bin", "relative", "/nothing/here", "/proc"}); !slices.Equal(got, []string{"/proc", "/usr"}) {
		t.Errorf("outermost: %v", got)
	}
}
