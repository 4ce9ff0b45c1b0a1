package command

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/mcp"
	"github.com/strandsgo/strands/python"
)

// offerFlags say what an agent is offered beside Python.
type offerFlags struct {
	tools     []string
	require   []string
	mcp       []string
	mcpConfig string
	as        choice
	databaseFlags
}

func (f *offerFlags) add(cmd *cobra.Command) {
	f.as = choice{value: "tools", of: []string{"tools", "functions"}}
	fs := cmd.Flags()
	fs.StringArrayVar(&f.tools, "tools", nil, "offer Python functions with @tool: a folder, a file, pkg.mod or pkg.mod:func; loaded again when a file changes (repeatable)")
	fs.StringArrayVar(&f.require, "tools-require", nil, "install a package for --tools as pip would (repeatable)")
	fs.StringArrayVar(&f.mcp, "mcp", nil, "offer the tools of an MCP server: [NAME=]URL, [NAME=]sse+URL or \"[NAME=]COMMAND ARGS\" (repeatable)")
	fs.StringVar(&f.mcpConfig, "mcp-config", "", "offer the MCP servers of a JSON file with mcpServers")
	f.databaseFlags.add(cmd)
	fs.Var(&f.as, "offer-as", "how --tools and --mcp are offered: tools of the model, or functions of its Python code")
	complete(cmd, "offer-as", f.as.of)
}

// offered is what the flags ask for, open.
type offered struct {
	providers []strands.ToolProvider // the agent closes them
	kits      []codeagent.Toolkit
	close     []io.Closer // what the agent does not close
}

// open checks the flags; as functions, it asks for the tools too. logger may
// be told of servers that cannot be reached.
func (f *offerFlags) open(ctx context.Context, interpreter python.Interpreter, logger *slog.Logger) (*offered, error) {
	if len(f.require) > 0 && len(f.tools) == 0 {
		return nil, usagef("--tools-require is for --tools; give --tools too")
	}
	var named []named
	for _, what := range f.tools {
		d, err := f.directory(what, interpreter, logger)
		if err != nil {
			return nil, err
		}
		named = append(named, d)
	}
	servers, err := f.servers()
	if err != nil {
		return nil, err
	}
	for _, s := range servers {
		s.Logger = logger
		p, err := mcp.New(s)
		if err != nil {
			return nil, err
		}
		named = append(named, server{p, s.Name})
	}
	o := new(offered)
	kits, stores, err := f.databases(ctx, logger)
	if err != nil {
		return nil, err
	}
	o.kits = kits
	for _, s := range stores {
		o.close = append(o.close, s)
	}
	for _, n := range named {
		if f.as.value == "tools" {
			o.providers = append(o.providers, n)
			continue
		}
		o.close = append(o.close, n)
		kit, err := n.kit(ctx)
		if err != nil {
			return nil, errors.Join(err, o.Close())
		}
		if len(kit.Functions) > 0 {
			o.kits = append(o.kits, kit)
		}
	}
	return o, nil
}

// Close closes what the agent does not; o may be nil.
func (o *offered) Close() error {
	if o == nil {
		return nil
	}
	var errs []error
	for _, c := range o.close {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// named is a provider that can be a toolkit.
type named interface {
	strands.ToolProvider
	kit(ctx context.Context) (codeagent.Toolkit, error)
}

type folder struct{ *python.Directory }

func (d folder) kit(ctx context.Context) (codeagent.Toolkit, error) {
	tools, err := d.Tools(ctx)
	return codeagent.Toolkit{Functions: tools}, err
}

type server struct {
	*mcp.Provider
	name string
}

func (s server) kit(ctx context.Context) (codeagent.Toolkit, error) {
	functions, err := s.Functions(ctx)
	return codeagent.ToolkitOf(module(s.name), functions), err
}

// module makes a Python module's name of a server's.
func module(name string) string {
	name = strings.Trim(notInNames.ReplaceAllString(name, "_"), "_")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "mcp_" + name
	}
	return strings.ToLower(name)
}

var (
	notInNames = regexp.MustCompile(`[^A-Za-z0-9_]+`)
	prefixed   = regexp.MustCompile(`^([A-Za-z0-9_-]+)=(.+)$`)
)

func (f *offerFlags) directory(what string, interpreter python.Interpreter, logger *slog.Logger) (named, error) {
	d := &python.Directory{Interpreter: interpreter, Requirements: f.require, Logger: logger}
	switch info, err := os.Stat(what); {
	case err == nil && info.IsDir():
		d.Path = what
	case err == nil, strings.Contains(what, "."), strings.Contains(what, ":"):
		d.Load = []string{what}
	default:
		return nil, usagef("--tools %q: there is no such folder or file; give one, or a module like pkg.mod:func", what)
	}
	return folder{d}, nil
}

// servers are those of --mcp and --mcp-config.
func (f *offerFlags) servers() ([]mcp.Server, error) {
	var servers []mcp.Server
	for _, spec := range f.mcp {
		var s mcp.Server
		if m := prefixed.FindStringSubmatch(spec); m != nil {
			s.Name, s.Prefix, spec = m[1], m[1], m[2]
		}
		rest, sse := strings.CutPrefix(spec, "sse+")
		switch {
		case strings.HasPrefix(rest, "http://"), strings.HasPrefix(rest, "https://"):
			s.URL, s.SSE = rest, sse
		default:
			s.Command = strings.Fields(spec)
		}
		if s.URL == "" && len(s.Command) == 0 {
			return nil, usagef("--mcp %q: give a URL or a command", spec)
		}
		servers = append(servers, s)
	}
	if f.mcpConfig == "" {
		return servers, nil
	}
	file, err := os.Open(f.mcpConfig)
	if err != nil {
		return nil, usagef("--mcp-config: %w", err)
	}
	defer file.Close()
	more, err := mcp.ReadConfig(file)
	if err != nil {
		return nil, usagef("--mcp-config %s: %w", f.mcpConfig, err)
	}
	if len(more) == 0 {
		return nil, usagef("--mcp-config %s: there are no servers in it", f.mcpConfig)
	}
	return append(servers, more...), nil
}
