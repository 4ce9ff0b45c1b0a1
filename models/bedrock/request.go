package bedrock

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	strands "github.com/strandsgo/strands"
)

// raw is a document that is JSON already. The SDK's own would lose the order
// of a schema's properties and the digits of large numbers.
type raw struct {
	document.Interface // nil; for the method that binds it to the package
	json               json.RawMessage
}

// MarshalSmithyDocument implements document.Interface.
func (r raw) MarshalSmithyDocument() ([]byte, error) { return r.json, nil }

// input makes the input of a call.
func (m *Model) input(req *strands.Request) (*bedrockruntime.ConverseInput, error) {
	in := &bedrockruntime.ConverseInput{
		ModelId: &m.cfg.Model, System: m.system(req.System), InferenceConfig: m.inference(),
		AdditionalModelResponseFieldPaths: m.cfg.ResponsePaths,
	}
	var err error
	if in.ToolConfig, err = m.toolConfig(req); err != nil {
		return nil, err
	}
	if in.Messages, err = m.messages(req.Messages); err != nil {
		return nil, err
	}
	if in.AdditionalModelRequestFields, err = m.requestFields(req.ToolChoice); err != nil {
		return nil, err
	}
	if g := m.cfg.Guardrail; g.ID != "" {
		in.GuardrailConfig = &types.GuardrailConfiguration{
			GuardrailIdentifier: &g.ID, GuardrailVersion: &g.Version, Trace: types.GuardrailTrace(cmp.Or(g.Trace, "enabled")),
		}
	}
	if m.cfg.ServiceTier != "" {
		in.ServiceTier = &types.ServiceTier{Type: types.ServiceTierType(m.cfg.ServiceTier)}
	}
	if m.cfg.Amend != nil {
		m.cfg.Amend(in)
	}
	return in, nil
}

func (m *Model) inference() *types.InferenceConfiguration {
	c := types.InferenceConfiguration{StopSequences: m.cfg.Stop}
	if m.cfg.MaxTokens != 0 {
		c.MaxTokens = aws.Int32(int32(m.cfg.MaxTokens))
	}
	if m.cfg.Temperature != nil {
		c.Temperature = aws.Float32(float32(*m.cfg.Temperature))
	}
	if m.cfg.TopP != nil {
		c.TopP = aws.Float32(float32(*m.cfg.TopP))
	}
	if c.MaxTokens == nil && c.Temperature == nil && c.TopP == nil && c.StopSequences == nil {
		return nil
	}
	return &c
}

func (m *Model) requestFields(choice strands.ToolChoice) (document.Interface, error) {
	fields := map[string]any{}
	for k, v := range m.cfg.RequestFields {
		if k == "thinking" && (choice.Any || choice.Tool != "") {
			continue // the service refuses both together
		}
		fields[k] = v
	}
	if len(fields) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(fields)
	if err != nil {
		return nil, m.wire.Refuse("Config.RequestFields cannot be written as JSON: %v", err)
	}
	return raw{json: b}, nil
}

func (m *Model) system(parts []strands.Part) []types.SystemContentBlock {
	var out []types.SystemContentBlock
	for _, p := range parts {
		switch {
		case p.CachePoint != nil:
			out = append(out, &types.SystemContentBlockMemberCachePoint{Value: cachePoint(p.CachePoint.TTL)})
		case strings.TrimSpace(p.Text) != "":
			out = append(out, &types.SystemContentBlockMemberText{Value: p.Text})
		}
	}
	if m.cfg.CacheSystem && len(out) > 0 {
		out = append(out, &types.SystemContentBlockMemberCachePoint{Value: cachePoint(m.cfg.CacheTTL)})
	}
	return out
}

func cachePoint(ttl string) types.CachePointBlock {
	return types.CachePointBlock{Type: types.CachePointTypeDefault, Ttl: types.CacheTTL(ttl)}
}

func (m *Model) toolConfig(req *strands.Request) (*types.ToolConfiguration, error) {
	specs := req.Tools
	if len(specs) == 0 {
		if !mentionsTools(req.Messages) {
			return nil, nil
		}
		// The service wants a tool when the history has calls.
		specs = []strands.ToolSpec{{Name: "noop", Description: "Does nothing. Never call it."}}
	}
	c := &types.ToolConfiguration{}
	for _, t := range specs {
		schema := t.InputSchema
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		spec := types.ToolSpecification{Name: &t.Name, Description: aws.String(cmp.Or(t.Description, t.Name))}
		if m.cfg.StrictTools {
			var err error
			if schema, err = strict(schema); err != nil {
				return nil, m.wire.Refuse("the schema of tool %q: %v", t.Name, err)
			}
			spec.Strict = aws.Bool(true)
		}
		spec.InputSchema = &types.ToolInputSchemaMemberJson{Value: raw{json: schema}}
		c.Tools = append(c.Tools, &types.ToolMemberToolSpec{Value: spec})
	}
	if m.cfg.CacheTools {
		c.Tools = append(c.Tools, &types.ToolMemberCachePoint{Value: cachePoint(m.cfg.CacheTTL)})
	}
	switch choice := req.ToolChoice; {
	case len(req.Tools) == 0:
	case choice.Tool != "":
		c.ToolChoice = &types.ToolChoiceMemberTool{Value: types.SpecificToolChoice{Name: &choice.Tool}}
	case choice.Any:
		c.ToolChoice = &types.ToolChoiceMemberAny{}
	default:
		c.ToolChoice = &types.ToolChoiceMemberAuto{}
	}
	return c, nil
}

func mentionsTools(messages []strands.Message) bool {
	for _, msg := range messages {
		for _, p := range msg.Parts {
			if p.ToolCall != nil || p.ToolResult != nil {
				return true
			}
		}
	}
	return false
}

// strict makes every object of a schema closed and all its properties
// required, which the service demands of strict tools.
func strict(schema json.RawMessage) (json.RawMessage, error) {
	var v any
	if err := json.Unmarshal(schema, &v); err != nil {
		return nil, err
	}
	closeObjects(v)
	return json.Marshal(v)
}

func closeObjects(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			closeObjects(e)
		}
	case map[string]any:
		for _, e := range v {
			closeObjects(e)
		}
		properties, ok := v["properties"].(map[string]any)
		if !ok || v["type"] != "object" {
			return
		}
		v["additionalProperties"] = false
		v["required"] = append([]string{}, slices.Sorted(maps.Keys(properties))...)
	}
}
