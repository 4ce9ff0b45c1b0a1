// Package s3 keeps sessions in a bucket of Amazon S3, or of a service that
// speaks its protocol.
package s3

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/awsbody"
	"github.com/strandsgo/strands/session"
	"github.com/strandsgo/strands/session/internal/layout"
)

// Config says where the sessions lie. Only Bucket is required.
type Config struct {
	Bucket string
	Prefix string // before the keys of all sessions; slashes at its ends do not count
	// Agent is the id of the agent whose messages a session is; see
	// session.Files.
	Agent string

	Region   string      // "" = as AWS has it: $AWS_REGION, the profile
	Endpoint string      // "" = the region's own; else a service that speaks the protocol, whose buckets are part of the path
	AWS      *aws.Config // nil = the SDK's default chain
	// ClientOptions change the SDK's client, last of all.
	ClientOptions []func(*s3.Options)
}

// Store is a strands.Store in a bucket, in the layout of the Python SDK's
// S3SessionManager, which is that of session.Files too: a folder of sessions
// can be copied into a bucket and back. Go and Python may take turns with a
// session, not have it open at the same time. Processes of Go may: writes are
// conditional (If-Match, If-None-Match), and whoever comes too late gets
// strands.ErrConflict and has changed nothing that counts. So the service must
// have conditional writes; without conditional deletes too, a writer that was
// stopped for long right in a clean-up could remove another's message.
//
// In a bucket with versions, the older versions of what a redaction, a new
// state or Delete replaces are deleted, which needs the right to list and to
// delete versions. A broken object is a *session.FileError.
type Store struct {
	client         *s3.Client
	bucket, prefix string
	agent          string
}

var _ strands.StateStore = (*Store)(nil)

// Open makes a Store. It reads the credentials, and asks nobody.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Bucket == "" {
		return nil, &strands.InputError{Field: "Config.Bucket", Reason: "is required"}
	}
	var ac aws.Config
	if cfg.AWS != nil {
		ac = *cfg.AWS
	} else {
		var err error
		if ac, err = config.LoadDefaultConfig(ctx); err != nil {
			return nil, fmt.Errorf("strands: configuration of AWS: %w", err)
		}
	}
	options := append([]func(*s3.Options){func(o *s3.Options) {
		o.HTTPClient = awsbody.Client{Next: o.HTTPClient}
		o.APIOptions = append(o.APIOptions, awsmiddleware.AddUserAgentKey("strands-agents"))
		if cfg.Region != "" {
			o.Region = cfg.Region
		}
		if cfg.Endpoint != "" {
			o.BaseEndpoint, o.UsePathStyle = &cfg.Endpoint, true
			// Most other services know no checksums in trailers.
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		}
	}}, cfg.ClientOptions...)
	s := &Store{client: s3.NewFromConfig(ac, options...), bucket: cfg.Bucket, agent: cfg.Agent}
	if s.prefix = strings.Trim(cfg.Prefix, "/"); s.prefix != "" {
		s.prefix += "/"
	}
	if s.client.Options().Region == "" {
		return nil, &strands.InputError{Field: "Config.Region", Reason: "is not set, nor is $AWS_REGION"}
	}
	return s, nil
}

// open checks the ids and finds the agent.
func (s *Store) open(ctx context.Context, id string) (*layout.Log, *objects, error) {
	if err := strands.CheckSessionID(id); err != nil {
		return nil, nil, err
	}
	if s.agent != "" && strings.ContainsAny(s.agent, `/\`) {
		return nil, nil, &strands.InputError{Field: "Config.Agent", Reason: fmt.Sprintf("%q must have no path separator", s.agent)}
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	m := s.objects(id)
	log := &layout.Log{Session: id, Agent: s.agent, Medium: m, Writer: rand.Text()}
	return log, m, log.Find(ctx)
}

// Load implements strands.Store.
func (s *Store) Load(ctx context.Context, id string) ([]strands.Entry, error) {
	entries, err := s.load(ctx, id)
	if _, broken := errors.AsType[*session.FileError](err); broken {
		return s.load(ctx, id) // it may have been deleted while we read
	}
	return entries, err
}

func (s *Store) load(ctx context.Context, id string) ([]strands.Entry, error) {
	log, _, err := s.open(ctx, id)
	if err != nil {
		return nil, err
	}
	return log.Load(ctx)
}

// Append implements strands.Store. What it has written when it fails half-way
// is not part of the log, except that a message may be redacted already.
func (s *Store) Append(ctx context.Context, id string, afterSeq int64, entries ...strands.Entry) error {
	log, m, err := s.open(ctx, id)
	if err != nil {
		return err
	}
	if err := log.Append(ctx, afterSeq, entries); err != nil {
		return err
	}
	for _, e := range entries {
		if e.Message == nil { // something was replaced, and must be gone
			return m.forget(ctx)
		}
	}
	return nil
}

// List implements strands.Store. It takes two requests a session, one when the
// Store names its agent. Sessions with ids that a Store does not take are
// passed over.
func (s *Store) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for name, err := range s.names(ctx, "session_") {
			if err != nil {
				yield("", err)
				return
			}
			id := strings.TrimPrefix(name, "session_")
			if strands.CheckSessionID(id) != nil {
				continue
			}
			there, err := s.exists(ctx, id)
			if err == nil && !there {
				continue
			}
			if !yield(id, err) || err != nil {
				return
			}
		}
	}
}

func (s *Store) exists(ctx context.Context, id string) (bool, error) {
	log, _, err := s.open(ctx, id)
	if err != nil {
		return false, err
	}
	return log.Exists(ctx)
}

// Delete implements strands.Store. All agents of the session go, and its
// states.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := strands.CheckSessionID(id); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.objects(id).delete(ctx)
}

// Scope implements strands.StateStore.
func (s *Store) Scope(agent string) strands.Store {
	return &Store{client: s.client, bucket: s.bucket, prefix: s.prefix, agent: agent}
}

// LoadState implements strands.StateStore.
func (s *Store) LoadState(ctx context.Context, id, name string) (json.RawMessage, error) {
	m, err := s.openState(ctx, id, name)
	if err != nil {
		return nil, err
	}
	raw, err := m.Read(ctx, layout.StateName(name))
	switch {
	case err != nil:
		return nil, err
	case raw[0] == nil:
		return nil, strands.ErrNotFound
	case !json.Valid(raw[0]):
		return nil, m.Broken(layout.StateName(name), errors.New("it is not JSON"))
	}
	return raw[0], nil
}

// SaveState implements strands.StateStore. The last one who saves wins.
func (s *Store) SaveState(ctx context.Context, id, name string, state json.RawMessage) error {
	if state != nil && !json.Valid(state) {
		return &strands.InputError{Field: "state " + name, Reason: "is not JSON"}
	}
	m, err := s.openState(ctx, id, name)
	if err != nil {
		return err
	}
	if state == nil {
		return m.drop(ctx, layout.StateName(name))
	}
	session, data, err := layout.SessionFile(id)
	if err != nil {
		return err
	}
	if err := m.put(ctx, session, data, new("*"), nil); err != nil && !errors.Is(err, layout.ErrAgain) {
		return err // ErrAgain: there is one
	}
	if err := m.put(ctx, layout.StateName(name), state, nil, nil); err != nil {
		return err
	}
	return m.forget(ctx)
}

func (s *Store) openState(ctx context.Context, id, name string) (*objects, error) {
	if err := strands.CheckSessionID(id); err != nil {
		return nil, err
	}
	if err := strands.CheckSessionID(name); err != nil {
		return nil, fmt.Errorf("name of a state: %w", err)
	}
	return s.objects(id), ctx.Err()
}
