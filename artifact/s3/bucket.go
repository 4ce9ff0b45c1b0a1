// Package s3 keeps artifacts in S3 and hands out presigned links, and reads
// inputs from there.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/artifact"
	"github.com/strandsgo/strands/internal/awsbody"
)

const (
	defaultExpiry = time.Hour
	maxExpiry     = 7 * 24 * time.Hour // S3's own
)

// Bucket is an artifact.Store in a bucket, and a source of inputs. Its fields
// must not change after the first use. Only Name is required. Its methods may
// be called concurrently.
//
// An artifact lies under Prefix, the id of its run, and its name. The role
// needs s3:PutObject and s3:GetObject on arn:aws:s3:::NAME/PREFIX/* and
// nothing else.
type Bucket struct {
	Name   string
	Prefix string        // slashes at its ends do not count
	Expiry time.Duration // of links; 0 = 1 h; at most 7 days

	Region   string      // "" = as AWS has it: $AWS_REGION, the profile
	Endpoint string      // "" = $AWS_ENDPOINT_URL_S3, else the region's own
	AWS      *aws.Config // nil = the SDK's default chain

	mu     sync.Mutex
	client *s3.Client
	creds  aws.CredentialsProvider
}

var _ artifact.Store = (*Bucket)(nil)

// Parse splits an address like s3://bucket/some/key. The key may be empty.
func Parse(address string) (bucket, key string, err error) {
	rest, ok := strings.CutPrefix(address, "s3://")
	bucket, key, _ = strings.Cut(rest, "/")
	if !ok || bucket == "" || strings.ContainsAny(bucket, " ?#@:") {
		return "", "", &strands.InputError{Field: "address", Reason: fmt.Sprintf("%q is not like s3://bucket/key", address)}
	}
	return bucket, key, nil
}

// sdk makes the client with the first request.
func (b *Bucket) sdk(ctx context.Context) (*s3.Client, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.client != nil {
		return b.client, nil
	}
	switch {
	case b.Name == "":
		return nil, &strands.InputError{Field: "Name", Reason: "it must name the bucket"}
	case b.Expiry < 0 || b.Expiry > maxExpiry:
		return nil, &strands.InputError{Field: "Expiry", Reason: fmt.Sprintf("a link can be good for at most 7 days, not %v", b.Expiry)}
	}
	var cfg aws.Config
	if b.AWS != nil {
		cfg = b.AWS.Copy()
	} else {
		var err error
		if cfg, err = config.LoadDefaultConfig(ctx); err != nil {
			return nil, fmt.Errorf("artifact/s3: reading the AWS configuration: %w", err)
		}
	}
	cfg.Region = cmp.Or(b.Region, cfg.Region, "us-east-1")
	endpoint := cmp.Or(b.Endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"))
	b.creds = cfg.Credentials
	b.client = s3.NewFromConfig(cfg, func(o *s3.Options) {
		if b.Endpoint != "" {
			o.BaseEndpoint = aws.String(b.Endpoint)
		}
		o.HTTPClient = awsbody.Client{Next: o.HTTPClient}
		o.DisableLogOutputChecksumValidationSkipped = true
		o.UsePathStyle = b.Endpoint != "" || isAddress(endpoint)
		if endpoint != "" { // most other services know no checksums in trailers
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		}
	})
	return b.client, nil
}

// isAddress says whether a server goes by its number, so that no bucket's name
// can be put before it.
func isAddress(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()) != nil)
}

// Put implements artifact.Store. The artifact has Key, URL and Expires, which
// is earlier than Expiry says when the credentials that signed the URL are good
// for less.
func (b *Bucket) Put(ctx context.Context, run string, a strands.Artifact, data io.ReadSeeker) (strands.Artifact, error) {
	client, err := b.sdk(ctx)
	if err != nil {
		return a, err
	}
	key := path.Join(strings.Trim(b.Prefix, "/"), run, path.Clean("/"+a.Name))
	in := &s3.PutObjectInput{Bucket: &b.Name, Key: &key, Body: data, ContentLength: aws.Int64(a.Size)}
	if a.MIME != "" {
		in.ContentType = &a.MIME
	}
	if _, err := client.PutObject(ctx, in); err != nil {
		return a, b.failure("storing", key, err)
	}
	expires, life, err := b.life(ctx)
	if err != nil {
		return a, b.failure("signing a link to", key, err)
	}
	signed, err := s3.NewPresignClient(client).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &b.Name, Key: &key}, s3.WithPresignExpires(life))
	if err != nil {
		return a, b.failure("signing a link to", key, err)
	}
	a.Key, a.URL, a.Expires = key, signed.URL, expires
	return a, nil
}

// life is how long a link can be good for. Times are in whole seconds, as S3
// counts them.
func (b *Bucket) life(ctx context.Context) (expires time.Time, life time.Duration, err error) {
	now := time.Now().Truncate(time.Second)
	life = cmp.Or(b.Expiry, defaultExpiry)
	if b.creds == nil {
		return time.Time{}, 0, errors.New("there are no credentials to sign it with")
	}
	creds, err := b.creds.Retrieve(ctx)
	if err != nil {
		return time.Time{}, 0, err
	}
	if creds.CanExpire {
		life = min(life, creds.Expires.Sub(now).Truncate(time.Second))
	}
	return now.Add(life), max(life, time.Second), nil
}

// failure says what went wrong with an object, and what to do about it.
func (b *Bucket) failure(doing, key string, err error) error {
	status := 0
	if r, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		status = r.HTTPStatusCode()
	}
	code := ""
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		code = e.ErrorCode()
	}
	hint := ""
	switch {
	case code == "NoSuchBucket":
		hint = "there is no such bucket: "
	case status == 404:
		hint = "there is no such object: "
	case status == 403 && doing == "storing":
		hint = "the caller needs s3:PutObject on it: "
	case status == 403:
		hint = "the caller needs s3:GetObject on it: "
	case status == 301:
		hint = "the bucket is in another region; set AWS_REGION to that: "
	}
	return fmt.Errorf("artifact/s3: %s s3://%s/%s: %s%w", doing, b.Name, key, hint, err)
}
