// Package models opens a model by its name, "provider/id", and finds out what
// the environment offers.
package models

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/models/anthropic"
	"github.com/strandsgo/strands/models/bedrock"
	"github.com/strandsgo/strands/models/gemini"
	"github.com/strandsgo/strands/models/ollama"
	"github.com/strandsgo/strands/models/openai"
)

// ErrNone: no model was named, and the environment offers none.
var ErrNone = errors.New("no model is named and none was found")

// provider is a package of this folder as Open sees it.
type provider struct {
	name     string
	standard string // the model when only the provider is named; "" = asked for
	needs    string // what makes it available, in words
	open     func(id string) checked
	offers   func(ctx context.Context) (why string, ok bool)
}

type checked interface {
	strands.Model
	Check() error
}

// The providers, in the order of Discover.
var providers = []provider{
	{
		"anthropic", "claude-sonnet-5-5", "ANTHROPIC_API_KEY",
		func(id string) checked { return anthropic.New(anthropic.Config{Model: id, Cache: true}) },
		anyVariable("ANTHROPIC_API_KEY"),
	},
	{
		"openai", "gpt-5.5", "OPENAI_API_KEY, or OPENAI_BASE_URL for a server that speaks its protocol",
		func(id string) checked {
			// OpenAI's own models keep what they thought between tool calls only
			// there; other servers seldom know it.
			return openai.New(openai.Config{Model: id, Responses: os.Getenv("OPENAI_BASE_URL") == ""})
		},
		anyVariable("OPENAI_API_KEY", "OPENAI_BASE_URL"),
	},
	{
		"gemini", "gemini-2.5-flash", "GEMINI_API_KEY or GOOGLE_API_KEY",
		func(id string) checked { return gemini.New(gemini.Config{Model: id}) },
		anyVariable("GEMINI_API_KEY", "GOOGLE_API_KEY"),
	},
	{
		"bedrock", bedrock.DefaultModel, "AWS credentials: AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_BEARER_TOKEN_BEDROCK, or ~/.aws/credentials",
		func(id string) checked { return bedrock.New(bedrock.Config{Model: id, Cache: true}) },
		awsCredentials,
	},
	{
		"ollama", "", "a running Ollama (\"ollama serve\") with a model (\"ollama pull qwen3\")",
		func(id string) checked { return ollama.New(ollama.Config{Model: id}) },
		runningOllama,
	},
}

// Open makes the model of a name: "openai/gpt-5.5", "ollama/qwen3:8b". A name
// without a provider means Bedrock, a provider without a model its standard
// one. The empty name takes the first that Discover finds; when there is none
// the error is ErrNone and lists the choices. A mistake in the name, or
// missing credentials, is an error here and not at the first call; the
// server is not asked.
func Open(ctx context.Context, name string) (strands.Model, error) {
	if name == "" {
		found := Discover(ctx)
		if len(found) == 0 {
			return nil, fmt.Errorf("%w; name one as provider/model, or make one of these available:\n%s", ErrNone, choices())
		}
		name = found[0].Name
	}
	p, id, err := parse(ctx, name)
	if err != nil {
		return nil, err
	}
	m := p.open(id)
	if err := m.Check(); err != nil {
		return nil, err
	}
	return m, nil
}

// parse finds the provider and the model of a name.
func parse(ctx context.Context, name string) (*provider, string, error) {
	first, id, _ := strings.Cut(name, "/")
	i := slices.IndexFunc(providers, func(p provider) bool { return p.name == first })
	switch {
	case i < 0 && strings.HasPrefix(name, "arn:"), i < 0 && !strings.Contains(name, "/"):
		i, id = slices.IndexFunc(providers, func(p provider) bool { return p.name == "bedrock" }), name
	case i < 0:
		return nil, "", &strands.InputError{
			Field: "model " + name, Reason: fmt.Sprintf("there is no provider %q; the providers are %s", first, strings.Join(names(), ", ")),
		}
	}
	p := &providers[i]
	if id == "" {
		id = p.standard
	}
	if id == "" {
		installed, err := installedModels(ctx)
		if err != nil {
			return nil, "", err
		}
		if len(installed) == 0 {
			return nil, "", &strands.InputError{Field: "model " + name, Reason: "Ollama has no models; fetch one with \"ollama pull qwen3\""}
		}
		id = installed[0]
	}
	return p, id, nil
}

func names() []string {
	var all []string
	for _, p := range providers {
		all = append(all, p.name)
	}
	return all
}

func choices() string {
	var b strings.Builder
	for i, p := range providers {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "  %-10s %s", p.name, p.needs)
	}
	return b.String()
}

// Choice is a model that Open can make without being told more.
type Choice struct {
	Name string // for Open
	Why  string // how it was found, such as "OPENAI_API_KEY is set"
}

// Discover lists what the environment offers, the best first. It looks at
// environment variables and files, and asks a local Ollama for at most half a
// second.
func Discover(ctx context.Context) []Choice {
	var found []Choice
	for _, p := range providers {
		why, ok := p.offers(ctx)
		if !ok {
			continue
		}
		name := p.name + "/" + p.standard
		if p.standard == "" {
			installed, err := installedModels(ctx)
			if err != nil || len(installed) == 0 {
				continue
			}
			name = p.name + "/" + installed[0]
		}
		found = append(found, Choice{name, why})
	}
	return found
}

func anyVariable(names ...string) func(context.Context) (string, bool) {
	return func(context.Context) (string, bool) {
		for _, n := range names {
			if os.Getenv(n) != "" {
				return n + " is set", true
			}
		}
		return "", false
	}
}

func awsCredentials(ctx context.Context) (string, bool) {
	why, ok := anyVariable("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_WEB_IDENTITY_TOKEN_FILE")(ctx)
	if ok {
		return why, true
	}
	path := os.Getenv("AWS_SHARED_CREDENTIALS_FILE")
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", false
		}
		path = filepath.Join(home, ".aws", "credentials")
	}
	if _, err := os.Stat(path); err != nil {
		return "", false
	}
	return path + " exists", true
}

// ollamaPatience is how long a local server may take to say that it is there.
const ollamaPatience = 500 * time.Millisecond

func installedModels(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, ollamaPatience)
	defer cancel()
	return ollama.Installed(ctx, nil, "")
}

func runningOllama(ctx context.Context) (string, bool) {
	installed, err := installedModels(ctx)
	host, _ := ollama.Host("")
	return "Ollama runs at " + host, err == nil && len(installed) > 0
}
