package embedding_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/strandsgo/strands/knowledge"
	"github.com/strandsgo/strands/knowledge/embedding"
)

// meanings is a model of three dimensions: it knows synonyms, which the
// keyword index does not.
func meanings(text string) []float32 {
	v := []float32{0, 0, .01}
	for w := range strings.FieldsSeq(strings.ToLower(text)) {
		switch strings.Trim(w, ".,?") {
		case "car", "automobile", "vehicle":
			v[0]++
		case "meal", "food", "lunch":
			v[1]++
		}
	}
	return v
}

// server answers as OpenAI and as Ollama do, and counts the texts.
func server(t *testing.T, texts *atomic.Int64) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Model string
			Input []string
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Model != "tiny" || r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, `{"error": {"message": "bad request"}}`, http.StatusBadRequest)
			return
		}
		texts.Add(int64(len(in.Input)))
		switch r.URL.Path {
		case "/v1/embeddings":
			if r.Header.Get("Authorization") != "Bearer sesame" {
				http.Error(w, `{"error": {"message": "no key"}}`, http.StatusUnauthorized)
				return
			}
			data := []map[string]any{}
			for i := len(in.Input) - 1; i >= 0; i-- { // any order is allowed
				data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": meanings(in.Input[i])})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"object": "list", "model": in.Model, "data": data})
		case "/api/embed":
			var all [][]float32
			for _, text := range in.Input {
				all = append(all, meanings(text))
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"model": in.Model, "embeddings": all})
		case "/echo":
			http.Error(w, "the key "+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")+"\nis wrong", http.StatusBadRequest)
		default:
			_, _ = w.Write([]byte(`{"data": []}`))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func bundle() fstest.MapFS {
	file := func(title, text string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("---\ntype: Section\ntitle: " + title + "\n---\n" + text + "\n")}
	}
	return fstest.MapFS{
		"cars.md":  file("Automobile", "How to rent an automobile."),
		"lunch.md": file("Lunch", "Lunch is at noon in building 7."),
		"rooms.md": file("Rooms", "Rooms have numbers such as 7."),
	}
}

func first(t *testing.T, b *knowledge.Bundle, question string) string {
	t.Helper()
	f, err := b.Find(t.Context(), question, knowledge.FindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Results) == 0 {
		return ""
	}
	return f.Results[0].ID
}

func TestIndex(t *testing.T) {
	var texts atomic.Int64
	s := server(t, &texts)
	for path, key := range map[string]string{"/v1/embeddings": "sesame", "/api/embed": ""} {
		x := &embedding.Index{URL: s.URL + path, Model: "tiny", Key: key, Batch: 2, CacheDir: "-"}
		b, err := knowledge.OpenFS(t.Context(), bundle(), knowledge.Options{Index: x})
		if err != nil {
			t.Fatal(err)
		}
		if got := first(t, b, "which vehicle may I take?"); got != "cars" {
			t.Errorf("%s: a synonym found %q", path, got)
		}
		b, err = knowledge.OpenFS(t.Context(), bundle(), knowledge.Options{Index: x, Fuse: true})
		if err != nil {
			t.Fatal(err)
		}
		for question, want := range map[string]string{"a meal": "lunch", "lunch building": "lunch", "rooms": "rooms"} {
			if got := first(t, b, question); got != want {
				t.Errorf("%s, fused: %q found %q, want %q", path, question, got, want)
			}
		}
	}
}

// TestCache: a text is sent once, also by another program.
func TestCache(t *testing.T) {
	var texts atomic.Int64
	s, dir, files := server(t, &texts), t.TempDir(), bundle()
	build := func() int64 {
		t.Helper()
		texts.Store(0)
		x := &embedding.Index{URL: s.URL + "/api/embed", Model: "tiny", CacheDir: dir}
		if _, err := knowledge.OpenFS(t.Context(), files, knowledge.Options{Index: x}); err != nil {
			t.Fatal(err)
		}
		return texts.Load()
	}
	if n := build(); n != 3 {
		t.Errorf("%d texts", n)
	}
	if n := build(); n != 0 {
		t.Errorf("%d texts were sent again", n)
	}
	files["new.md"] = &fstest.MapFile{Data: []byte("---\ntype: Section\n---\nnew")}
	if n := build(); n != 1 {
		t.Errorf("%d texts for one that is new", n)
	}
}

func TestErrors(t *testing.T) {
	var texts atomic.Int64
	s := server(t, &texts)
	for name, c := range map[string]struct {
		x      *embedding.Index
		status int
		want   string
	}{
		"no key":      {&embedding.Index{URL: s.URL + "/v1/embeddings", Model: "tiny", Key: "secret-word"}, 401, "no key"},
		"other model": {&embedding.Index{URL: s.URL + "/api/embed", Model: "huge"}, 400, "bad request"},
		"too few":     {&embedding.Index{URL: s.URL + "/other", Model: "tiny"}, 200, "no embedding for text 1"},
		"no URL":      {&embedding.Index{URL: "::", Model: "tiny"}, 0, "address cannot be read"},
		"an echo":     {&embedding.Index{URL: s.URL + "/echo?key=secret-word", Model: "tiny", Key: "secret-word"}, 400, "the key … is wrong"},
	} {
		c.x.CacheDir = "-"
		_, err := knowledge.OpenFS(t.Context(), bundle(), knowledge.Options{Index: c.x})
		e, ok := errors.AsType[*embedding.Error](err)
		if !ok || e.Status != c.status || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without its server a search by meaning is an error, and a fused one finds by
// words, and says so.
func TestServerIsGone(t *testing.T) {
	var texts atomic.Int64
	s := server(t, &texts)
	open := func(fuse bool) *knowledge.Bundle {
		x := &embedding.Index{URL: s.URL + "/api/embed?key=secret-word", Model: "tiny", CacheDir: "-"}
		b, err := knowledge.OpenFS(t.Context(), bundle(), knowledge.Options{Index: x, Fuse: fuse})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	alone, fused := open(false), open(true)
	if f, err := fused.Find(t.Context(), "lunch", knowledge.FindOptions{}); err != nil || f.Problem != "" {
		t.Errorf("%v, %v", f, err)
	}
	s.Close()
	if _, err := alone.Find(t.Context(), "lunch", knowledge.FindOptions{}); err == nil || strings.Contains(err.Error(), "secret-word") {
		t.Errorf("a server that is gone: %v", err)
	}
	library, err := knowledge.NewLibrary(fused)
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []knowledge.Source{fused, library} {
		f, err := source.Find(t.Context(), "lunch", knowledge.FindOptions{})
		if err != nil || len(f.Results) != 1 || !strings.Contains(f.String(), "by their words only") || strings.Contains(f.String(), "secret-word") {
			t.Errorf("%v, %v", f, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := fused.Find(ctx, "lunch", knowledge.FindOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}
