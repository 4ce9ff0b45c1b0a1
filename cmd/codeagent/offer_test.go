package main_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestToolsAndServers(t *testing.T) {
	server := sdk.NewServer(&sdk.Implementation{Name: "shop", Version: "1"}, nil)
	type in struct {
		Product string `json:"product"`
	}
	type out struct {
		Amount float64 `json:"amount"`
	}
	sdk.AddTool(server, &sdk.Tool{Name: "price"}, func(_ context.Context, _ *sdk.CallToolRequest, _ in) (*sdk.CallToolResult, out, error) {
		return nil, out{2.5}, nil
	})
	web := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, nil))
	t.Cleanup(web.Close)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"tools/a.py": "from strands import tool\n@tool\ndef add(a: int, b: int = 1) -> int:\n    return a + b\n",
		"json.yaml":  "turns:\n  - calls: [{tool: add, input: {a: 5}}]\n  - calls: [{tool: shop_price, input: {product: tea}}]\n  - text: done\n",
		"repl.yaml":  "turns:\n  - python: \"print(add(5, b=6), shop_price('tea').amount)\"\n  - text: done\n",
		"mcp.json":   `{"mcpServers":{"shop":{"type":"http","url":"` + web.URL + `"}}}`,
		"bad.json":   `{"mcpServers":{"shop":{"port":1}}}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args      []string
		code      int
		out, errs string
	}{
		{[]string{"json.yaml", "--tools", "tools", "--mcp", "shop=" + web.URL}, 0, "-> shop_price(product=\"tea\")\n\ndone", ""},
		{[]string{"repl.yaml", "--tools", "tools/a.py", "--mcp-config", "mcp.json", "--offer-as", "functions"}, 0, "11 2.5", ""},
		{[]string{"json.yaml", "--tools", "tools", "--mcp", "nosuch server"}, 0, "Unknown tool: shop_price", "an MCP server cannot be reached"},
		{[]string{"json.yaml", "--tools", "nope"}, 2, "", "no such folder or file"},
		{[]string{"json.yaml", "--mcp-config", "bad.json"}, 2, "", "mcpServers.shop"},
		{[]string{"json.yaml", "--mcp-config", "none.json"}, 2, "", "none.json"},
		{[]string{"json.yaml", "--tools-require", "x"}, 2, "", "give --tools too"},
	} {
		r := call{dir: dir, args: append([]string{"run", "hi", "-m", "scripted:" + c.args[0]}, c.args[1:]...)}.run(t)
		if r.code != c.code || !strings.Contains(r.stdout, c.out) || !strings.Contains(r.stderr, c.errs) || c.errs == "" && r.stderr != "" {
			t.Errorf("%v: exit code %d\n%s\n%s", c.args, r.code, r.stdout, r.stderr)
		}
	}
}
