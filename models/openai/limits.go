package openai

import "strings"

type limits struct{ window, output int }

// limitsOf knows the families that OpenAI has published, longest prefix first.
// Dated snapshots share the prefix of their family.
func limitsOf(model string) limits {
	for _, f := range families {
		if strings.HasPrefix(model, f.prefix) {
			return f.limits
		}
	}
	return limits{}
}

var families = []struct {
	prefix string
	limits limits
}{
	{"gpt-5-chat", limits{128_000, 16_384}},
	{"gpt-5.1", limits{400_000, 128_000}},
	{"gpt-5.2", limits{400_000, 128_000}},
	{"gpt-5.", limits{}}, // not published when this was written
	{"gpt-5", limits{400_000, 128_000}},
	{"gpt-4.1", limits{1_047_576, 32_768}},
	{"gpt-4o", limits{128_000, 16_384}},
	{"gpt-4-turbo", limits{128_000, 4_096}},
	{"gpt-4", limits{8_192, 8_192}},
	{"gpt-3.5-turbo", limits{16_385, 4_096}},
	{"o1", limits{200_000, 100_000}},
	{"o3", limits{200_000, 100_000}},
	{"o4-mini", limits{200_000, 100_000}},
}
