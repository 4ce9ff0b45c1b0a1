package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Size returns the length of an object in bytes.
func (b *Bucket) Size(ctx context.Context, key string) (int64, error) {
	client, err := b.sdk(ctx)
	if err != nil {
		return 0, err
	}
	head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.Name, Key: &key})
	if err != nil {
		return 0, b.failure("looking at", key, err)
	}
	return aws.ToInt64(head.ContentLength), nil
}

const (
	copyTries = 5 // without progress in between
	copyPause = 200 * time.Millisecond
)

// Copy streams an object of at most limit bytes to w and returns how many there
// were; of a longer one it copies nothing. When the connection breaks it goes on
// where it was, as long as the object stays the same.
func (b *Bucket) Copy(ctx context.Context, key string, w io.Writer, limit int64) (n int64, err error) {
	client, err := b.sdk(ctx)
	if err != nil {
		return 0, err
	}
	var tag *string
	size, pause := int64(-1), copyPause
	for left := copyTries; ; left-- {
		in := &s3.GetObjectInput{Bucket: &b.Name, Key: &key, IfMatch: tag}
		if n > 0 {
			in.Range = aws.String(fmt.Sprintf("bytes=%d-", n))
		}
		out, err := client.GetObject(ctx, in)
		if err != nil {
			return n, b.failure("reading", key, err)
		}
		if size < 0 && out.ContentLength != nil {
			tag, size = out.ETag, *out.ContentLength
		}
		// Not every server that calls itself S3's equal is.
		if size < 0 || n > 0 && !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-", n)) {
			return n, errors.Join(b.failure("reading", key, errors.New("the server does not say which part of the object it sends")), out.Body.Close())
		}
		if size > limit {
			return 0, errors.Join(fmt.Errorf("artifact/s3: s3://%s/%s has %d bytes, and there is room for %d", b.Name, key, size, limit), out.Body.Close())
		}
		done, readErr, writeErr := copyBody(w, io.LimitReader(out.Body, size-n))
		_ = out.Body.Close() // what counts was read
		if n += done; done > 0 {
			left, pause = copyTries, copyPause
		}
		switch {
		case writeErr != nil:
			return n, fmt.Errorf("artifact/s3: copying s3://%s/%s: %w", b.Name, key, writeErr)
		case n == size && readErr == nil:
			return n, nil
		case ctx.Err() != nil:
			return n, context.Cause(ctx)
		case left == 1:
			return n, b.failure("reading", key, errors.Join(io.ErrUnexpectedEOF, readErr))
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return n, context.Cause(ctx)
		}
		pause *= 2
	}
}

// copyBody is io.Copy that tells who failed.
func copyBody(w io.Writer, r io.Reader) (n int64, readErr, writeErr error) {
	buf := make([]byte, 1<<20)
	for {
		m, err := r.Read(buf)
		if m > 0 {
			if _, writeErr = w.Write(buf[:m]); writeErr != nil {
				return n, nil, writeErr
			}
			n += int64(m)
		}
		if err == io.EOF {
			return n, nil, nil
		}
		if err != nil {
			return n, err, nil
		}
	}
}

// Open streams an object, as Copy does. Whoever opens it closes it.
func (b *Bucket) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	size, err := b.Size(ctx, key) // so that what is missing is told at once
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	s := &stream{PipeReader: r, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		_, err := b.Copy(ctx, key, w, size)
		_ = w.CloseWithError(err) // never fails
	}()
	return s, nil
}

// stream is the reading end of a Copy.
type stream struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// Close stops the Copy and waits for its end.
func (s *stream) Close() error {
	s.cancel()
	err := s.PipeReader.Close()
	<-s.done
	return err
}
