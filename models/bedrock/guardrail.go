package bedrock

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
)

// blocked says whether a guardrail blocked what went in and what came out.
func blocked(t *types.GuardrailTraceAssessment) (in, out bool) {
	if t == nil {
		return false, false
	}
	for _, a := range t.InputAssessment {
		in = in || blocks(&a)
	}
	for _, list := range t.OutputAssessments {
		for _, a := range list {
			out = out || blocks(&a)
		}
	}
	return in, out
}

// blocks says whether one of the policies of an assessment blocked something.
func blocks(a *types.GuardrailAssessment) bool {
	found := false
	see := func(action string, detected *bool) {
		// Older guardrails do not say what they detected.
		found = found || action == "BLOCKED" && (detected == nil || aws.ToBool(detected))
	}
	if p := a.ContentPolicy; p != nil {
		for _, f := range p.Filters {
			see(string(f.Action), f.Detected)
		}
	}
	if p := a.TopicPolicy; p != nil {
		for _, f := range p.Topics {
			see(string(f.Action), f.Detected)
		}
	}
	if p := a.WordPolicy; p != nil {
		for _, f := range p.CustomWords {
			see(string(f.Action), f.Detected)
		}
		for _, f := range p.ManagedWordLists {
			see(string(f.Action), f.Detected)
		}
	}
	if p := a.SensitiveInformationPolicy; p != nil {
		for _, f := range p.PiiEntities {
			see(string(f.Action), f.Detected)
		}
		for _, f := range p.Regexes {
			see(string(f.Action), f.Detected)
		}
	}
	if p := a.ContextualGroundingPolicy; p != nil {
		for _, f := range p.Filters {
			see(string(f.Action), f.Detected)
		}
	}
	return found
}
