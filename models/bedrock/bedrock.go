// Package bedrock reaches the models of Amazon Bedrock through its Converse
// API.
package bedrock

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/smithy-go/logging"
	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/awsbody"
	"github.com/strandsgo/strands/models/internal/wire"
)

// DefaultModel is the model of the zero Config.
const DefaultModel = "global.anthropic.claude-sonnet-4-6"

// defaultRegion is where we go when nothing says where.
const defaultRegion = "us-west-2"

// Config says which model to use and how. The zero value is DefaultModel with
// the credentials and the region of the environment.
type Config struct {
	Model string // id, inference profile or ARN; "" = DefaultModel

	Region   string      // "" = as AWS has it: $AWS_REGION, the profile; else us-west-2
	Endpoint string      // "" = the region's own; for VPC endpoints
	AWS      *aws.Config // nil = the SDK's default chain, read at the first call
	// ClientOptions change the SDK's client, last of all.
	ClientOptions  []func(*bedrockruntime.Options)
	UserAgentExtra string       // added to the User-Agent, such as "app/1.0"
	HTTPClient     *http.Client // nil = that of AWS, or the SDK's
	IdleTimeout    time.Duration

	MaxTokens   int      // of a reply; 0 = the model's default
	Temperature *float64 // nil = the model's default
	TopP        *float64 // nil = the model's default
	Stop        []string
	NoStreaming bool // ask for whole replies; they come as one delta a part

	// Cache puts a cache point at the end of the last user message and removes
	// those in other messages. Only Claude models have it.
	Cache       bool
	CacheSystem bool   // a cache point after the system prompt
	CacheTools  bool   // a cache point after the tools
	CacheTTL    string // of these: "5m", "1h"; "" = the service's default

	Guardrail Guardrail

	// RequestFields are fields of the model's own that Converse does not know,
	// such as {"thinking": …}, which is left out while a tool choice forces a
	// tool. ResponsePaths are JSON pointers to fields of its answer that
	// become Reply.Extra.
	RequestFields map[string]any
	ResponsePaths []string

	ServiceTier string     // "priority", "flex", …; "" = the account's default
	StrictTools bool       // hold the input of tools to their schemas
	ToolStatus  ToolStatus // whether results of tools say if they are errors

	// Amend changes the input of a call before it is sent; nil = not.
	Amend func(*bedrockruntime.ConverseInput)

	ContextWindow int // tokens; 0 = 200,000 for Claude 3 and 4, else unknown
}

// ToolStatus says whether a tool result carries its status. Some models
// refuse the field; without it, an error is told in words.
type ToolStatus string

// The values of a ToolStatus.
const (
	StatusAuto ToolStatus = ""    // for Claude models
	StatusOn   ToolStatus = "on"  // always
	StatusOff  ToolStatus = "off" // never
)

// Guardrail applies a guardrail to what goes in and comes out. The zero value
// applies none; ID and Version belong together.
type Guardrail struct {
	ID, Version string
	Trace       string // "enabled", "disabled", "enabled_full"; "" = enabled
	StreamMode  string // "sync", "async"; "" = the service's default

	// Input that was blocked is replaced in the history by InputMessage, unless
	// KeepInput is set.
	KeepInput    bool
	InputMessage string // "" = "[User input redacted.]"
	// Output that was blocked is replaced by OutputMessage when RedactOutput is
	// set; otherwise it is what the guardrail made of it.
	RedactOutput  bool
	OutputMessage string // "" = "[Assistant output redacted.]"

	LatestMessage bool // look at the last user message only, not at the whole history
}

// Model is a strands.Model, a strands.TokenCounter and a strands.Describer.
type Model struct {
	cfg  Config
	wire wire.Provider

	mu     sync.Mutex
	client *bedrockruntime.Client // made at the first call
}

// New makes a Model. It asks nobody and reads no file; what is wrong with cfg
// is the error of the first call, and of Check.
func New(cfg Config) *Model {
	cfg.Model = cmp.Or(cfg.Model, DefaultModel)
	cfg.ClientOptions = slices.Clone(cfg.ClientOptions)
	m := &Model{cfg: cfg, wire: wire.Provider{
		Name: "bedrock", Model: cfg.Model, IdleTimeout: cfg.IdleTimeout,
		Hints: map[strands.ModelErrorKind]string{
			strands.ModelAuth:     "check the credentials, and that the account has access to this model in this region",
			strands.ModelNotFound: "check Config.Model and Config.Region; newer models want an inference profile such as \"" + DefaultModel + "\"",
		},
	}}
	if g := cfg.Guardrail; (g.ID == "") != (g.Version == "") {
		m.wire.Invalid = m.wire.Refuse("Config.Guardrail needs both ID and Version")
	}
	return m
}

// Check says what is wrong with the Config; nil when a call can be tried.
func (m *Model) Check() error { return m.wire.Invalid }

// Describe implements strands.Describer.
func (m *Model) Describe() strands.ModelInfo {
	info := strands.ModelInfo{Provider: m.wire.Name, ID: m.cfg.Model, ContextWindow: m.cfg.ContextWindow}
	for _, family := range []string{"anthropic.claude-3", "anthropic.claude-sonnet-4", "anthropic.claude-opus-4", "anthropic.claude-haiku-4"} {
		if strings.Contains(m.cfg.Model, family) {
			info.ContextWindow = cmp.Or(info.ContextWindow, 200_000)
		}
	}
	return info
}

func (m *Model) isClaude() bool { return strings.Contains(m.cfg.Model, "anthropic.claude") }

// Generate implements strands.Model.
func (m *Model) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return m.wire.Generate(ctx, req, func(ctx context.Context, call *wire.Call, w *wire.Writer) (*strands.Reply, error) {
		input, err := m.input(req)
		if err != nil {
			return nil, err
		}
		client, err := m.connect(ctx, call)
		if err != nil {
			return nil, err
		}
		if m.cfg.NoStreaming {
			return m.converse(ctx, call, client, input, w)
		}
		return m.converseStream(ctx, call, client, input, w)
	})
}

// connect makes the client at the first call, and looks for credentials where
// the SDK's own error would not say what to do.
func (m *Model) connect(ctx context.Context, call *wire.Call) (*bedrockruntime.Client, error) {
	client, err := m.dial(ctx)
	if err != nil {
		return nil, call.Fail(err, wire.Fault{Kind: strands.ModelAuth, Message: "the AWS configuration cannot be read: " + err.Error()})
	}
	o := client.Options()
	if o.Credentials == nil || o.BearerAuthTokenProvider != nil || os.Getenv("AWS_BEARER_TOKEN_BEDROCK") != "" {
		return client, nil
	}
	if _, err := o.Credentials.Retrieve(ctx); err != nil {
		return nil, call.Fail(err, wire.Fault{Kind: strands.ModelAuth, Message: "no AWS credentials were found; " +
			"set AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_BEARER_TOKEN_BEDROCK, or Config.AWS"})
	}
	return client, nil
}

func (m *Model) dial(ctx context.Context) (*bedrockruntime.Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.client == nil {
		cfg, err := m.awsConfig(ctx)
		if err != nil {
			return nil, err
		}
		m.client = bedrockruntime.NewFromConfig(cfg, slices.Concat([]func(*bedrockruntime.Options){m.clientOptions}, m.cfg.ClientOptions)...)
	}
	return m.client, nil
}

func (m *Model) awsConfig(ctx context.Context) (aws.Config, error) {
	if m.cfg.AWS != nil {
		return m.cfg.AWS.Copy(), nil
	}
	// The SDK would write to the program's standard error when it finds no
	// credentials; the error of the call says so too.
	return config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{}))
}

func (m *Model) clientOptions(o *bedrockruntime.Options) {
	o.Region = cmp.Or(m.cfg.Region, o.Region, defaultRegion)
	if m.cfg.Endpoint != "" {
		o.BaseEndpoint = &m.cfg.Endpoint
	}
	client := o.HTTPClient
	if m.cfg.HTTPClient != nil {
		client = m.cfg.HTTPClient
	} else if client == nil {
		client = http.DefaultClient
	}
	if c, ok := client.(*http.Client); ok && c.CheckRedirect == nil {
		// Below wire's client this one would follow a redirect to any host, and
		// take the session's token there.
		own := *c
		own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		client = &own
	}
	o.HTTPClient = wire.Client(&http.Client{Transport: transport{awsbody.Client{Next: client}}})
	o.Retryer = aws.NopRetryer{} // the loop retries
	o.APIOptions = append(o.APIOptions, awsmiddleware.AddUserAgentKey("strandsgo"))
	if name, version, ok := strings.Cut(m.cfg.UserAgentExtra, "/"); ok {
		o.APIOptions = append(o.APIOptions, awsmiddleware.AddUserAgentKeyValue(name, version))
	} else if name != "" {
		o.APIOptions = append(o.APIOptions, awsmiddleware.AddUserAgentKey(name))
	}
}

// transport makes a RoundTripper of a client of the SDK.
type transport struct{ client awsbody.Client }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) { return t.client.Do(req) }

// errNoReply marks an answer that is not what the API says.
var errNoReply = errors.New("the answer holds no message")
