package command

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// pythonFlags are the flags of every command that runs Python.
type pythonFlags struct {
	interpreter choice
	isolation   isolation
	toolkits    []string
	timeout     time.Duration
	out         string
	remote      remoteFlags
	dataFlags

	// exec only
	allow        []string
	require      []string
	memory, disk size
	cpu          time.Duration
	processes    bool
}

func (f *pythonFlags) add(cmd *cobra.Command) {
	f.addBackend(cmd)
	cmd.Flags().StringSliceVar(&f.toolkits, "toolkit", nil, "toolkits: data (numpy, pandas, scipy), viz (matplotlib, seaborn)")
	complete(cmd, "toolkit", toolkitNames())
	f.dataFlags.add(cmd)
}

func (f *pythonFlags) addBackend(cmd *cobra.Command) {
	f.interpreter = choice{value: "sandboxed", of: []string{"sandboxed", "exec", "agentcore"}}
	fs := cmd.Flags()
	fs.Var(&f.interpreter, "interpreter", "sandboxed; exec: a plain process with your rights; or agentcore: AWS, or the server in\n$AWS_ENDPOINT_URL_BEDROCK_AGENTCORE")
	fs.Var(&f.isolation, "isolation", "namespaces or filtered, and what else is demanded, like namespaces,memory=cgroup\n(words as doctor prints them); none is the same as --interpreter exec (default: the strongest there is)")
	fs.DurationVar(&f.timeout, "timeout", 0, "of each snippet (default 3m)")
	fs.StringVarP(&f.out, "out", "o", ".", "folder for pictures and files that the code made; nothing there is replaced")
	f.remote.add(cmd)
	complete(cmd, "interpreter", f.interpreter.of)
	complete(cmd, "isolation", isolationLevels)
}

func (f *pythonFlags) addLimits(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringArrayVar(&f.allow, "allow", nil, "allow importing a module, or pkg.* with all below (repeatable)")
	fs.StringArrayVar(&f.require, "require", nil, "install a package as pip would, \"pandas>=2\", and allow importing it (repeatable)")
	fs.Var(&f.memory, "memory", "address space of the session, like 512M (default 4G)")
	fs.Var(&f.disk, "disk", "size of the session's folders, like 64M (default 256M)")
	fs.BoolVar(&f.processes, "processes", false, "let the code start this machine's programs, confined as it is (needs namespaces)")
	fs.DurationVar(&f.cpu, "cpu", 0, "processor time of the session (default 1h)")
}

// requirementName is the package at the front of a requirement.
var requirementName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?`)

// modulePattern is what an import pattern looks like.
var modulePattern = regexp.MustCompile(`^(\*|[\pL_][\pL\pN_]*(\.[\pL_][\pL\pN_]*)*(\.\*)?)$`)

// check finds what the flags' own types cannot.
func (f *pythonFlags) check(cmd *cobra.Command) error {
	if cmd.Flags().Changed("timeout") && f.timeout <= 0 {
		return usagef("--timeout %v: a snippet needs some time; give a duration like 30s", f.timeout)
	}
	if f.cpu < 0 {
		return usagef("--cpu %v: give a duration like 30s", f.cpu)
	}
	for _, p := range f.allow {
		if !modulePattern.MatchString(p) {
			return usagef("--allow %q means nothing: give a module (json), a module with all below (os.*), or * for everything", p)
		}
	}
	if err := f.remote.check(cmd, f); err != nil {
		return err
	}
	if f.isolation.level == "none" {
		if f.interpreter.value == "sandboxed" && cmd.Flags().Changed("interpreter") {
			return usagef("--interpreter sandboxed and --isolation none contradict each other; leave one out")
		}
		f.interpreter.value = "exec"
	}
	if f.interpreter.value != "exec" {
		return nil
	}
	if len(f.allow) > 0 {
		return usagef("--allow has no effect on unconfined code, which may import anything; leave it out")
	}
	if f.isolation.text != "" && f.isolation.level != "none" {
		return usagef("--interpreter exec cannot be isolated; leave --isolation or --interpreter out")
	}
	if f.processes {
		return usagef("--processes has no effect on unconfined code, which may start anything; leave it out")
	}
	if f.disk != 0 {
		return usagef("--disk has no effect on unconfined code; leave it out")
	}
	return nil
}

// choice is a flag with a few possible values.
type choice struct {
	value string
	of    []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "name" }
func (c *choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("choose %s", orList(c.of))
	}
	c.value = s
	return nil
}

// size is a flag for a number of bytes.
type size int64

func (s *size) String() string {
	if *s == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*s), 10)
}
func (s *size) Type() string { return "size" }
func (s *size) Set(text string) error {
	number, unit := strings.TrimRight(text, "kKmMgGiB"), int64(1)
	switch suffix := strings.TrimRight(strings.TrimRight(text[len(number):], "B"), "i"); strings.ToUpper(suffix) {
	case "":
	case "K":
		unit = 1 << 10
	case "M":
		unit = 1 << 20
	case "G":
		unit = 1 << 30
	default:
		number = ""
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n <= 0 || n*float64(unit) > math.MaxInt64/2 {
		return fmt.Errorf("give a size like 512M or 2G")
	}
	*s = size(n * float64(unit))
	return nil
}

func orList(names []string) string {
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
}

func complete(cmd *cobra.Command, flag string, values []string) {
	// Only an unknown flag is an error here, which the tests would find.
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}
