// Package embedding searches bundles by meaning: an Index asks a server for
// vectors of the concepts and of the question. It speaks the embeddings
// protocol of OpenAI, which many servers have, and that of Ollama.
//
//	index := &embedding.Index{URL: "http://localhost:11434/api/embed", Model: "all-minilm"}
//	b, err := knowledge.Open(ctx, "my_bundle", knowledge.Options{Index: index, Fuse: true})
package embedding

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/strandsgo/strands/knowledge"
)

// Index is a knowledge.SearchIndex. Set the fields before it is used; it is
// safe for concurrent use then, and belongs to one bundle.
type Index struct {
	URL      string // as ".../v1/embeddings", or ".../api/embed" of Ollama
	Model    string
	Key      string       // sent as a bearer token; "" = none
	Client   *http.Client // nil = one that waits five minutes for each answer
	Batch    int          // texts in one request; 0 = 16
	MaxText  int          // bytes of a concept that are sent; 0 = 1,500, about what small models read
	CacheDir string       // of vectors; "" = below knowledge.CacheDir, "-" = nowhere

	built atomic.Pointer[vectors]
}

type vectors struct {
	ids  []string
	unit [][]float32 // of length 1
}

// Error says what is wrong with a server's answer.
type Error struct {
	URL    string // without a query
	Status int    // of HTTP; 0 = there was no answer
	Reason string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Status == 0 || e.Status == http.StatusOK {
		return fmt.Sprintf("embeddings from %s: %s", e.URL, e.Reason)
	}
	return fmt.Sprintf("embeddings from %s: status %d: %s", e.URL, e.Status, e.Reason)
}

// Build implements knowledge.SearchIndex. Texts whose vectors are in the cache
// are not sent.
func (x *Index) Build(ctx context.Context, concepts []knowledge.Document) error {
	cached := x.load()
	v := &vectors{ids: make([]string, len(concepts)), unit: make([][]float32, len(concepts))}
	var missing []int
	texts := make([]string, len(concepts))
	for i, d := range concepts {
		v.ids[i] = d.ID
		texts[i] = x.text(&d)
		if v.unit[i] = cached[keyOf(texts[i])]; v.unit[i] == nil {
			missing = append(missing, i)
		}
	}
	for batch := range slices.Chunk(missing, cmp.Or(x.Batch, 16)) {
		var ask []string
		for _, i := range batch {
			ask = append(ask, texts[i])
		}
		got, err := x.embed(ctx, ask)
		if err != nil {
			x.save(cached) // so that the next attempt goes on here
			return err
		}
		for n, i := range batch {
			v.unit[i] = got[n]
			cached[keyOf(texts[i])] = got[n]
		}
	}
	for i := range v.unit {
		if len(v.unit[i]) != len(v.unit[0]) {
			return &Error{URL: x.place(), Reason: "its vectors differ in length"}
		}
	}
	if len(missing) > 0 {
		x.save(cached)
	}
	x.built.Store(v)
	return nil
}

// text is what stands for a concept.
func (x *Index) text(d *knowledge.Document) string {
	body, _ := d.Body() // what cannot be read is found by the rest
	parts := []string{d.Title, d.Path, d.Description, body}
	text := strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n")
	return strings.ToValidUTF8(text[:min(len(text), cmp.Or(x.MaxText, 1500))], "")
}

// Query implements knowledge.SearchIndex: by the cosine of the angle.
func (x *Index) Query(ctx context.Context, query string, topK int) ([]knowledge.Hit, error) {
	v := x.built.Load()
	if v == nil {
		return nil, errors.New("embeddings: Query before Build")
	}
	if len(v.ids) == 0 || strings.TrimSpace(query) == "" {
		return nil, nil
	}
	got, err := x.embed(ctx, []string{query})
	if err != nil {
		return nil, err
	}
	q := got[0]
	if len(q) != len(v.unit[0]) {
		return nil, &Error{URL: x.place(), Reason: "its vectors differ in length"}
	}
	hits := make([]knowledge.Hit, len(v.ids))
	for i, u := range v.unit {
		var dot float32
		for n := range u {
			dot += u[n] * q[n]
		}
		hits[i] = knowledge.Hit{ID: v.ids[i], Score: float64(dot)}
	}
	slices.SortFunc(hits, func(a, b knowledge.Hit) int { return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID)) })
	return hits[:min(topK, len(hits))], nil
}

const maxAnswer = 256 << 20

var patient = &http.Client{Timeout: 5 * time.Minute}

// embed asks for the vectors of texts, of length 1 each.
func (x *Index) embed(ctx context.Context, texts []string) ([][]float32, error) {
	in, err := json.Marshal(map[string]any{"model": x.Model, "input": texts})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.URL, bytes.NewReader(in))
	if err != nil {
		return nil, &Error{URL: x.place(), Reason: "the address cannot be read"}
	}
	req.Header.Set("Content-Type", "application/json")
	if x.Key != "" {
		req.Header.Set("Authorization", "Bearer "+x.Key)
	}
	res, err := cmp.Or(x.Client, patient).Do(req)
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the address
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s for embeddings: %w", x.place(), err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("asking %s for embeddings: %w", x.place(), err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, &Error{URL: x.place(), Status: res.StatusCode, Reason: x.said(body)}
	}
	var answer struct {
		Data []struct {
			Index     int
			Embedding []float32
		}
		Embeddings [][]float32 // Ollama's
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, &Error{URL: x.place(), Status: res.StatusCode, Reason: "its answer is no JSON of embeddings"}
	}
	all := make([][]float32, len(texts))
	copy(all, answer.Embeddings)
	for _, d := range answer.Data {
		if d.Index >= 0 && d.Index < len(all) {
			all[d.Index] = d.Embedding
		}
	}
	for i, v := range all {
		if len(v) == 0 {
			return nil, &Error{URL: x.place(), Status: res.StatusCode, Reason: fmt.Sprintf("there is no embedding for text %d of %d", i+1, len(texts))}
		}
		toUnit(v)
	}
	return all, nil
}

// place is the address without what may be a secret in it.
func (x *Index) place() string {
	u, err := url.Parse(x.URL)
	if err != nil {
		return "the server"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// said is what a server answers with in place of embeddings, on one line; some
// repeat the key.
func (x *Index) said(body []byte) string {
	text := string(body)
	if x.Key != "" {
		text = strings.ReplaceAll(text, x.Key, "…")
	}
	return strings.ToValidUTF8(strings.Join(strings.Fields(text[:min(len(text), 300)]), " "), "")
}

func toUnit(v []float32) {
	sum := 0.0
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	if sum == 0 {
		return
	}
	for i := range v {
		v[i] = float32(float64(v[i]) / math.Sqrt(sum))
	}
}

type key [16]byte

func keyOf(text string) key {
	sum := sha256.Sum256([]byte(text))
	return key(sum[:16])
}

// file is the cache of this model; "" = there is none.
func (x *Index) file() string {
	dir := x.CacheDir
	if dir == "-" {
		return ""
	}
	if dir == "" {
		base, err := knowledge.CacheDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(base, "embeddings")
	}
	sum := sha256.Sum256([]byte(x.URL + "\n" + x.Model))
	return filepath.Join(dir, hex.EncodeToString(sum[:12])+".gob")
}

func (x *Index) load() map[key][]float32 {
	cached := map[key][]float32{}
	if name := x.file(); name != "" {
		if f, err := os.Open(name); err == nil {
			defer f.Close()
			if gob.NewDecoder(f).Decode(&cached) != nil {
				return map[key][]float32{} // damaged: it only saves time
			}
		}
	}
	return cached
}

// save replaces the cache at once. Failing to is no error.
func (x *Index) save(all map[key][]float32) {
	name := x.file()
	if name == "" || os.MkdirAll(filepath.Dir(name), 0o755) != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".embeddings-*")
	if err != nil {
		return
	}
	if err = errors.Join(gob.NewEncoder(f).Encode(all), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
}
