package agentcore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentcore"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/awsbody"
	"github.com/strandsgo/strands/python"
)

const (
	defaultRegion  = "us-east-1"
	defaultTimeout = 900 * time.Second
	maxTimeout     = 28_800 * time.Second
)

// Interpreter is a python.Interpreter on AgentCore Code Interpreter, AWS's or
// a Server. The zero value is ready to use where the AWS SDK finds
// credentials. It is safe for concurrent use; its fields must not change after
// the first Open.
//
// A session of AgentCore begins with the first snippet. Reset stops it, so
// that an agent without KeepState uses one for each turn of the user; Close
// always stops it. One that has reached its time to live, or was ended by
// somebody else, is replaced by a fresh one with the next snippet, whose
// result says what was lost.
//
// Go functions, figures, files, initialization code and modules work as they
// do at home: see python.Remote for how, and for what has no effect. Libraries
// and Requirements are among that.
type Interpreter struct {
	// AWS is what the SDK works with: credentials, region, HTTP client. nil =
	// config.LoadDefaultConfig: environment, shared files, roles.
	AWS *aws.Config
	// Region; "" = that of AWS, else $AWS_REGION, else that of the profile,
	// else us-east-1.
	Region string
	// Identifier of the code interpreter; "" = SystemInterpreter.
	Identifier string
	// SessionTimeout is how long a session may live, counted from its start and
	// not from its last use, in whole seconds; 0 = 15 min. At most 8 h.
	SessionTimeout time.Duration
	// Endpoint is the URL of another server that speaks the protocol; "" =
	// $AWS_ENDPOINT_URL_BEDROCK_AGENTCORE, else AWS.
	Endpoint string
	Logger   *slog.Logger // nil = slog.Default()

	once   sync.Once
	remote *python.Remote
	usage  meter

	mu     sync.Mutex
	client *bedrockagentcore.Client
	region string
}

// Open implements python.Interpreter. It makes no request.
func (i *Interpreter) Open(ctx context.Context, o python.Options) (python.Session, error) {
	if err := i.check(); err != nil {
		return nil, err
	}
	return i.backend().Open(ctx, o)
}

// Unguarded is that of python.Remote.
func (i *Interpreter) Unguarded() bool { return true }

// Close implements python.Interpreter. It stops all sessions.
func (i *Interpreter) Close() error { return i.backend().Close() }

func (i *Interpreter) backend() *python.Remote {
	i.once.Do(func() {
		i.remote = &python.Remote{Dial: i.start, Logger: i.Logger}
	})
	return i.remote
}

func (i *Interpreter) check() error {
	switch {
	case i.SessionTimeout < 0 || i.SessionTimeout > maxTimeout || i.SessionTimeout%time.Second != 0:
		return &strands.InputError{Field: "SessionTimeout", Reason: fmt.Sprintf(
			"%v is not possible; give whole seconds, at most 8h", i.SessionTimeout)}
	case i.Endpoint != "":
		if u, err := url.Parse(i.Endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return &strands.InputError{Field: "Endpoint", Reason: fmt.Sprintf("%q is no URL like http://127.0.0.1:8086", i.Endpoint)}
		}
	}
	return nil
}

// sdk makes the client with the first session.
func (i *Interpreter) sdk(ctx context.Context) (*bedrockagentcore.Client, string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.client != nil {
		return i.client, i.region, nil
	}
	cfg, err := loadAWS(ctx, i.AWS, i.Region, i.Endpoint)
	if err != nil {
		return nil, "", err
	}
	i.region = cfg.Region
	i.client = bedrockagentcore.NewFromConfig(cfg, func(o *bedrockagentcore.Options) {
		if i.Endpoint != "" {
			o.BaseEndpoint = aws.String(i.Endpoint)
		}
		o.HTTPClient = awsbody.Client{Next: o.HTTPClient}
		o.APIOptions = append(o.APIOptions, awsmiddleware.AddUserAgentKey(ownAgent))
	})
	return i.client, i.region, nil
}

// ownAgent is a word of the User-Agent.
const ownAgent = "strandsgo"

// loadAWS completes a caller's configuration, or makes one.
func loadAWS(ctx context.Context, given *aws.Config, region, endpoint string) (aws.Config, error) {
	var cfg aws.Config
	if given != nil {
		cfg = given.Copy()
	} else {
		var err error
		if cfg, err = config.LoadDefaultConfig(ctx); err != nil {
			return cfg, fmt.Errorf("agentcore: reading the AWS configuration: %w", err)
		}
		endpoint = cmp.Or(endpoint, os.Getenv("AWS_ENDPOINT_URL_BEDROCK_AGENTCORE"))
		if isLoopback(endpoint) && os.Getenv("AWS_ACCESS_KEY_ID") == "" && os.Getenv("AWS_PROFILE") == "" {
			// A server of one's own in its open mode looks at no signature,
			// but without a key the SDK would look for one on the network.
			cfg.Credentials = credentials.NewStaticCredentialsProvider("local", "local", "")
		}
	}
	cfg.Region = cmp.Or(region, cfg.Region, os.Getenv("AWS_REGION"), defaultRegion)
	return cfg, nil
}

func isLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// start begins a session of AgentCore.
func (i *Interpreter) start(ctx context.Context, progress func(string)) (python.Carrier, error) {
	client, region, err := i.sdk(ctx)
	if err != nil {
		return nil, err
	}
	c := &carrier{
		client: client, interpreter: cmp.Or(i.Identifier, SystemInterpreter),
		life: cmp.Or(i.SessionTimeout, defaultTimeout), logger: i.Logger, usage: &i.usage,
	}
	if c.logger == nil {
		c.logger = slog.Default()
	}
	progress("starting a session of " + c.interpreter + " in " + region)
	c.began = time.Now()
	out, err := client.StartCodeInterpreterSession(ctx, &bedrockagentcore.StartCodeInterpreterSessionInput{
		CodeInterpreterIdentifier: &c.interpreter,
		SessionTimeoutSeconds:     aws.Int32(int32(c.life / time.Second)),
	})
	if err != nil {
		return nil, failure("StartCodeInterpreterSession", c.interpreter, err)
	}
	c.id = aws.ToString(out.SessionId)
	if c.id == "" {
		return nil, errors.New("agentcore: StartCodeInterpreterSession gave no session id")
	}
	c.logger.DebugContext(ctx, "agentcore: a session has begun", "session", c.id, "interpreter", c.interpreter)
	return c, nil
}
