package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/strandsgo/strands/cmd/codeagent/internal/show"
	"github.com/strandsgo/strands/python"
)

// checkup is what doctor finds.
type checkup struct {
	Version  string `json:"version"`
	Fit      bool   `json:"fit"` // Python runs here, as confined as was asked
	Problem  string `json:"problem,omitempty"`
	Python   string `json:"python,omitempty"`   // the interpreter that ran
	Embedded string `json:"embedded,omitempty"` // release of the one inside the program
	Chosen   string `json:"chosen,omitempty"`   // $STRANDS_PYTHON
	Cache    string `json:"cache,omitempty"`

	Isolation map[string]string `json:"isolation,omitempty"` // a word for each resource
	Reasons   map[string]string `json:"reasons,omitempty"`   // for which a word is not stronger
	Missing   []string          `json:"missing,omitempty"`   // why it is not stronger
	Warnings  []string          `json:"warnings,omitempty"`

	Installer string       `json:"installer"`     // uv or pip
	Index     string       `json:"index"`         // of packages
	AWS       *awsIdentity `json:"aws,omitempty"` // whose credentials are configured; nil = nobody's

	Keys []string `json:"keys"` // names of the variables, never what is in them

	words []python.IsolationWord
}

// modelKeys are the variables that let one of our providers work.
var modelKeys = []string{
	"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "GEMINI_API_KEY", "GOOGLE_API_KEY", "OLLAMA_HOST",
	"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK",
}

func newDoctor() *cobra.Command {
	var f pythonFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say whether this machine is fit, and how code would be confined",
		Long: "Look at this machine: which Python is used, how its code would be confined (verified on a real process, word by\n" +
			"word), whether packages can be installed, and which models' keys are set. Exit code 1 when code cannot run.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			c := f.examine(cmd.Context(), cmd.ErrOrStderr())
			var err error
			if asJSON {
				err = encoder(cmd.OutOrStdout()).Encode(c)
			} else {
				err = c.print(cmd.OutOrStdout())
			}
			if err == nil && !c.Fit {
				err = &exit{code: exitFailed}
			}
			return err
		},
	}
	f.addBackend(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func (f *pythonFlags) examine(ctx context.Context, errOut io.Writer) *checkup {
	c := &checkup{
		Version: version(), Embedded: embeddedRelease(), Chosen: os.Getenv("STRANDS_PYTHON"), Keys: []string{},
	}
	if err := f.examinePython(ctx, c, errOut); err != nil {
		c.Problem = oneLine(err)
	} else {
		c.Fit = true
	}
	c.Installer = "pip"
	if path, err := exec.LookPath("uv"); err == nil {
		c.Installer = "uv (" + path + ")"
	}
	c.Index = packageIndex(ctx, strings.HasPrefix(c.Installer, "uv"))
	c.AWS = callerIdentity(ctx)
	for _, name := range modelKeys {
		if os.Getenv(name) != "" {
			c.Keys = append(c.Keys, name)
		}
	}
	return c
}

// examinePython runs a snippet and notes what it ran on.
func (f *pythonFlags) examinePython(ctx context.Context, c *checkup, errOut io.Writer) (err error) {
	backend := f.backend(io.Discard)
	defer func() { err = errors.Join(err, backend.Close()) }()
	sess, openErr := backend.Open(ctx, python.Options{
		Libraries: []string{"sys", "platform"},
		Progress:  func(s string) { fmt.Fprintln(errOut, "codeagent:", show.Clean(s)) },
	})
	if openErr != nil {
		// Less than was demanded: what there is tells why.
		if e, ok := errors.AsType[*python.IsolationError](openErr); ok && e.Isolation.Level != python.LevelNone {
			c.note(e.Isolation)
		} else if b, ok := backend.(*python.Sandboxed); ok {
			if i, err := b.Isolation(ctx); err == nil {
				c.note(i)
			}
		}
		return openErr
	}
	defer func() { err = errors.Join(err, sess.Close()) }()
	if i, ok := python.IsolationOf(sess); ok {
		c.note(i)
	}
	res, err := collect(ctx, sess, "import platform, sys\nprint(platform.python_implementation(), platform.python_version(), sys.prefix)")
	if err != nil {
		return err
	}
	if res.Err != nil {
		return fmt.Errorf("a first snippet failed: %w", res.Err)
	}
	c.Python = strings.TrimSpace(res.Stdout)
	_, prefix, _ := strings.Cut(strings.TrimPrefix(c.Python, "CPython "), " ")
	if folder, _, ok := strings.Cut(prefix, string(os.PathSeparator)+"python"+string(os.PathSeparator)); ok && c.Chosen == "" {
		c.Cache = folder
	}
	c.Cache = cmp.Or(os.Getenv("STRANDS_CACHE"), c.Cache)
	return nil
}

func (c *checkup) note(i python.Isolation) {
	c.words = i.Words()
	c.Isolation, c.Reasons = map[string]string{}, map[string]string{}
	for _, w := range c.words {
		c.Isolation[w.Name] = w.Value
		if w.Why != "" {
			c.Reasons[w.Name] = w.Why
		}
	}
	c.Missing = i.Missing
	if i.Level == python.LevelNone {
		c.Warnings = append(c.Warnings, "code is not confined: it has all your rights, files and network")
	}
}

func embeddedRelease() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, d := range info.Deps {
		if d.Path == "github.com/kluctl/go-embed-python" {
			return strings.TrimPrefix(d.Version, "v0.0.0-")
		}
	}
	return ""
}

// packageIndex asks the index that the installer would use whether it is there.
func packageIndex(ctx context.Context, uv bool) string {
	address, off := cmp.Or(os.Getenv("PIP_INDEX_URL"), "https://pypi.org/simple"), "PIP_NO_INDEX"
	if uv {
		address, off = cmp.Or(os.Getenv("UV_DEFAULT_INDEX"), os.Getenv("UV_INDEX_URL"), "https://pypi.org/simple"), "UV_NO_INDEX"
	}
	if os.Getenv(off) != "" {
		return "switched off by " + off
	}
	u, err := url.Parse(address)
	if err != nil {
		return "its address is no URL"
	}
	shown := *u // without the name and password that may be in it
	shown.User = nil
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, u.JoinPath("pip/").String(), nil)
	if err != nil {
		return shown.String() + " cannot be asked"
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		// The error of net/http repeats the address, password and all.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return shown.String() + " cannot be reached: " + oneLine(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode >= 400 {
		return fmt.Sprintf("%s answers %s", shown.String(), resp.Status)
	}
	return shown.String() + " can be reached"
}

func (c *checkup) print(w io.Writer) error {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-18s %s\n", name, show.Clean(value))
		}
	}
	line("codeagent", c.Version)
	line("fit", map[bool]string{true: "yes", false: "no: " + c.Problem}[c.Fit])
	line("python", c.Python)
	line("embedded", c.Embedded)
	line("STRANDS_PYTHON", c.Chosen)
	line("cache", c.Cache)
	for i, w := range c.words {
		name, value := "  "+strings.ReplaceAll(w.Name, "_", " "), w.Value
		if i == 0 {
			name = "isolation"
		}
		if w.Why != "" {
			value = fmt.Sprintf("%-10s not stronger: %s", w.Value, w.Why)
		}
		line(name, value)
	}
	line("installer", c.Installer)
	line("package index", c.Index)
	line("aws", c.AWS.String())
	line("model keys", cmp.Or(strings.Join(c.Keys, ", "), "none; \"codeagent demo\" needs none"))
	for _, warning := range c.Warnings {
		line("WARNING", warning)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
