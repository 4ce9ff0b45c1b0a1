package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/session"
	"github.com/strandsgo/strands/session/internal/layout"
)

// objects are those of one session, for one operation; a layout.Medium. It
// remembers what it has read, so that it replaces nothing that it has not seen.
type objects struct {
	*Store
	dir   string // before their keys
	claim string // the name of what Begin put a claim on

	mu        sync.Mutex
	tags      map[string]string // of what was read or written
	versioned map[string]bool   // what was written and may have older versions
}

func (s *Store) objects(id string) *objects {
	return &objects{Store: s, dir: s.prefix + "session_" + id + "/", tags: map[string]string{}, versioned: map[string]bool{}}
}

// parallel is how many requests one operation has under way.
const parallel = 16

// each calls f for all names, several at once, and stops at an error.
func each[T any](ctx context.Context, all []T, f func(context.Context, int, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	room := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for i, v := range all {
		room <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-room }()
			if err := f(ctx, i, v); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (m *objects) Read(ctx context.Context, names ...string) ([][]byte, error) {
	raws := make([][]byte, len(names))
	err := each(ctx, names, func(ctx context.Context, i int, name string) (err error) {
		raws[i], err = m.get(ctx, name)
		return err
	})
	return raws, err
}

// get returns an object; nil when there is none.
func (m *objects) get(ctx context.Context, name string) ([]byte, error) {
	out, err := m.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &m.bucket, Key: new(m.dir + name)})
	if code(err) == "NoSuchKey" {
		m.note(name, "")
		return nil, nil
	}
	if err != nil {
		return nil, m.failed("read", name, err)
	}
	raw, err := io.ReadAll(out.Body)
	if err = errors.Join(err, out.Body.Close()); err != nil {
		return nil, m.failed("read", name, err)
	}
	m.note(name, text(out.ETag))
	return raw, nil
}

func (m *objects) note(name, tag string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tags[name] = tag
}

func (m *objects) List(ctx context.Context, folder string) ([]string, error) {
	var names []string
	for name, err := range m.Store.list(ctx, m.dir+folder+"/", "") {
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

func (m *objects) Begin(ctx context.Context, name string, claim []byte) error {
	m.claim = name
	return m.replace(ctx, name, claim)
}

func (m *objects) Write(ctx context.Context, all map[string][]byte) error {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	return each(ctx, names, func(ctx context.Context, _ int, name string) error { return m.replace(ctx, name, all[name]) })
}

// replace puts an object in place of what was read.
func (m *objects) replace(ctx context.Context, name string, data []byte) error {
	m.mu.Lock()
	tag := m.tags[name]
	m.mu.Unlock()
	var err error
	if tag == "" {
		err = m.put(ctx, name, data, new("*"), nil)
	} else {
		err = m.put(ctx, name, data, nil, &tag)
	}
	if errors.Is(err, layout.ErrAgain) && name == m.claim {
		return strands.ErrConflict
	}
	return err
}

// put writes an object if none or this one is there; layout.ErrAgain when
// another is.
func (m *objects) put(ctx context.Context, name string, data []byte, none, match *string) error {
	out, err := m.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &m.bucket, Key: new(m.dir + name), Body: bytes.NewReader(data), ContentType: new("application/json"),
		IfNoneMatch: none, IfMatch: match,
	})
	if taken(err) {
		// A request whose answer was lost is sent again, and meets itself.
		if there, readErr := m.get(ctx, name); readErr != nil || !bytes.Equal(there, data) {
			return errors.Join(layout.ErrAgain, readErr)
		}
		return nil
	}
	if err != nil {
		return m.failed("write", name, err)
	}
	m.note(name, text(out.ETag))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.versioned[name] = m.versioned[name] || out.VersionId != nil
	return nil
}

// Remove does not remove what has become another object since it was read.
func (m *objects) Remove(ctx context.Context, names []string) error {
	return each(ctx, names, func(ctx context.Context, _ int, name string) error {
		m.mu.Lock()
		tag := m.tags[name]
		m.mu.Unlock()
		_, err := m.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &m.bucket, Key: new(m.dir + name), IfMatch: &tag})
		if err == nil {
			return nil
		}
		if taken(err) {
			return layout.ErrAgain
		}
		return m.failed("remove", name, err)
	})
}

func (m *objects) Broken(name string, err error) error {
	return &session.FileError{Path: m.url(name), Err: err}
}

func (m *objects) url(name string) string { return "s3://" + m.bucket + "/" + m.dir + name }

func (m *objects) failed(what, name string, err error) error {
	return fmt.Errorf("strands: %s session object %s: %w", what, m.url(name), err)
}

// forget deletes the older versions of what was written.
func (m *objects) forget(ctx context.Context) error {
	var names []string
	for name, versioned := range m.versioned {
		if versioned {
			names = append(names, name)
		}
	}
	return each(ctx, names, func(ctx context.Context, _ int, name string) error {
		return m.purge(ctx, name, func(v types.ObjectVersion) bool { return v.IsLatest == nil || !*v.IsLatest })
	})
}

// purge deletes versions of the objects whose names begin so.
func (m *objects) purge(ctx context.Context, prefix string, which func(types.ObjectVersion) bool) error {
	pages := s3.NewListObjectVersionsPaginator(m.client, &s3.ListObjectVersionsInput{Bucket: &m.bucket, Prefix: new(m.dir + prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return m.failed("delete older versions of", prefix, err)
		}
		var ids []types.ObjectIdentifier
		for _, v := range page.Versions {
			if which(v) {
				ids = append(ids, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
			}
		}
		for _, d := range page.DeleteMarkers {
			ids = append(ids, types.ObjectIdentifier{Key: d.Key, VersionId: d.VersionId})
		}
		if _, err := m.deleteAll(ctx, ids); err != nil {
			return err
		}
	}
	return nil
}

// drop deletes one object with its versions.
func (m *objects) drop(ctx context.Context, name string) error {
	marked, err := m.deleteAll(ctx, []types.ObjectIdentifier{{Key: new(m.dir + name)}})
	if err == nil && marked {
		err = m.purge(ctx, name, func(types.ObjectVersion) bool { return true })
	}
	return err
}

// delete deletes all objects, first those by which a reader knows that there
// is a session.
func (m *objects) delete(ctx context.Context) error {
	var first, rest []types.ObjectIdentifier
	pages := s3.NewListObjectsV2Paginator(m.client, &s3.ListObjectsV2Input{Bucket: &m.bucket, Prefix: &m.dir})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return m.failed("list", "", err)
		}
		for _, o := range page.Contents {
			id := types.ObjectIdentifier{Key: o.Key}
			if base := path.Base(*o.Key); base == "strands_go.json" || base == "agent.json" {
				first = append(first, id)
			} else {
				rest = append(rest, id)
			}
		}
	}
	if len(first)+len(rest) == 0 {
		return strands.ErrNotFound
	}
	marked := false
	for _, ids := range [][]types.ObjectIdentifier{first, rest} {
		m, err := m.deleteAll(ctx, ids)
		if err != nil {
			return err
		}
		marked = marked || m
	}
	if marked {
		return m.purge(ctx, "", func(types.ObjectVersion) bool { return true })
	}
	return nil
}

// deleteAll says whether the bucket only marked something as deleted.
func (m *objects) deleteAll(ctx context.Context, ids []types.ObjectIdentifier) (marked bool, err error) {
	for len(ids) > 0 {
		n := min(len(ids), 1000)
		out, err := m.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &m.bucket, Delete: &types.Delete{Objects: ids[:n]}})
		if err != nil {
			return marked, m.failed("delete", "", err)
		}
		for _, e := range out.Errors {
			return marked, m.failed("delete", strings.TrimPrefix(text(e.Key), m.dir), errors.New(text(e.Code)+": "+text(e.Message)))
		}
		for _, d := range out.Deleted {
			marked = marked || d.DeleteMarker != nil && *d.DeleteMarker && d.VersionId == nil
		}
		ids = ids[n:]
	}
	return marked, nil
}

// names lists what is directly at the store's prefix and begins so.
func (s *Store) names(ctx context.Context, begin string) iter.Seq2[string, error] {
	return s.list(ctx, s.prefix, begin)
}

// list lists what is directly in the folder, which ends in a slash or is "",
// and begins so.
func (s *Store) list(ctx context.Context, folder, begin string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: new(folder + begin), Delimiter: new("/")})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield("", fmt.Errorf("strands: list s3://%s/%s: %w", s.bucket, folder, err))
				return
			}
			for _, p := range page.CommonPrefixes {
				if !yield(strings.TrimSuffix(strings.TrimPrefix(text(p.Prefix), folder), "/"), nil) {
					return
				}
			}
			for _, o := range page.Contents {
				if !yield(strings.TrimPrefix(text(o.Key), folder), nil) {
					return
				}
			}
		}
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// code is S3's word for what went wrong; "" when it said none.
func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// taken says whether a condition of a request did not hold.
func taken(err error) bool {
	switch code(err) {
	case "PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey":
		return true
	}
	return false
}
