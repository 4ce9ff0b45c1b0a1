package command

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/strandsgo/strands/internal/awsbody"
)

// awsIdentity is who AWS takes this machine for.
type awsIdentity struct {
	Caller  string `json:"caller,omitempty"` // ARN
	Region  string `json:"region"`
	Problem string `json:"problem,omitempty"`
}

const awsPatience = 5 * time.Second

// callerIdentity asks AWS whose credentials are configured; nil when none are.
// Roles of the machine itself are not looked for: where there are none, that
// takes long.
func callerIdentity(ctx context.Context) *awsIdentity {
	if !awsConfigured() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, awsPatience)
	defer cancel()
	id := &awsIdentity{}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		id.Problem = oneLine(err)
		return id
	}
	cfg.Region = cmp.Or(cfg.Region, "us-east-1")
	id.Region = cfg.Region
	client := sts.NewFromConfig(cfg, func(o *sts.Options) {
		o.RetryMaxAttempts = 1
		o.HTTPClient = awsbody.Client{Next: o.HTTPClient}
	})
	out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	switch api, refused := errors.AsType[smithy.APIError](err); {
	case refused:
		id.Problem = "AWS refuses the credentials: " + api.ErrorCode() + ": " + api.ErrorMessage()
	case err != nil:
		id.Problem = oneLine(err)
	default:
		id.Caller = aws.ToString(out.Arn)
	}
	return id
}

// awsConfigured says whether somebody has set credentials up.
func awsConfigured() bool {
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	} {
		if os.Getenv(name) != "" {
			return true
		}
	}
	file := os.Getenv("AWS_SHARED_CREDENTIALS_FILE")
	if home, err := os.UserHomeDir(); file == "" && err == nil {
		file = filepath.Join(home, ".aws", "credentials")
	}
	_, err := os.Stat(file)
	return err == nil
}

// String is a line for a person.
func (id *awsIdentity) String() string {
	switch {
	case id == nil:
		return ""
	case id.Problem != "":
		return id.Problem + " (region " + id.Region + ")"
	}
	return id.Caller + " (region " + id.Region + ")"
}
