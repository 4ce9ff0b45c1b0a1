package agentcore

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/semaphore"
)

// toolResult is what a tool answers. A failure of what the caller asked for is
// a result with isError; an error is one of the session.
type toolResult struct {
	blocks  []block
	outcome *outcome // nil = the tool has none
	failed  bool

	taken    int64 // of transfer, until release
	transfer *semaphore.Weighted
}

// release gives back the memory that was taken for the result's files.
func (r *toolResult) release() {
	if r.taken > 0 {
		r.transfer.Release(r.taken)
		r.taken = 0
	}
}

// block is a part of a result. Exactly one of text, picture, file and link is
// set.
type block struct {
	text    *string
	picture []byte // PNG
	file    *outputFile
	link    *listedFile
}

type outputFile struct {
	path, mime string
	data       []byte
	isText     bool
}

type listedFile struct {
	Name      string `json:"name"`
	Directory bool   `json:"directory"`
	MIME      string `json:"mime"`
	Size      int64  `json:"size"`
}

// outcome is the structured part of what ran.
type outcome struct {
	task, status   string // of a task; "" = of a call
	stdout, stderr string
	exitCode       int
	running        bool    // so there is no exit code yet
	seconds        float64 // although AWS's documentation says milliseconds
}

func said(text string, failed bool) *toolResult {
	return &toolResult{blocks: []block{{text: &text}}, failed: failed}
}

// size is about what the result takes when it is encoded.
func (r *toolResult) size() int {
	n := 512
	for _, b := range r.blocks {
		n += b.size()
	}
	if r.outcome != nil {
		n += len(r.outcome.stdout) + len(r.outcome.stderr) + 256
	}
	return n
}

func (b *block) size() int {
	n := 256
	switch {
	case b.text != nil:
		n += len(*b.text)
	case b.picture != nil:
		n += base64.StdEncoding.EncodedLen(len(b.picture))
	case b.file != nil && b.file.isText:
		n += len(b.file.data) + len(b.file.data)/16 + 2*len(b.file.path)
	case b.file != nil:
		n += base64.StdEncoding.EncodedLen(len(b.file.data)) + 2*len(b.file.path)
	case b.link != nil:
		n += 2 * len(b.link.Name)
	}
	return n
}

// split encodes the result as several, each of at most limit bytes where that
// is possible without cutting a file in two. What is too large by itself is
// told of instead.
func (r *toolResult) split(limit int) [][]byte {
	if r.size() <= limit {
		return [][]byte{r.encode()}
	}
	parts := []*toolResult{{outcome: r.outcome, failed: r.failed}}
	for _, b := range r.blocks {
		if b.size() > limit-1024 {
			text := "one part of this result is larger than the 24 MiB that boto3 can take at once; read the file in pieces, or with another client"
			b = block{text: &text}
			parts[len(parts)-1].failed = true
		}
		last := parts[len(parts)-1]
		if last.size()+b.size() > limit {
			last = &toolResult{failed: r.failed}
			parts = append(parts, last)
		}
		last.blocks = append(last.blocks, b)
	}
	encoded := make([][]byte, len(parts))
	for i, p := range parts {
		encoded[i] = p.encode()
	}
	return encoded
}

// encode writes the result as JSON. By hand, because files are large and an
// encoder would copy them several times.
func (r *toolResult) encode() []byte {
	e := encoder{b: make([]byte, 0, r.size())}
	e.raw(`{"content":[`)
	for i := range r.blocks {
		if i > 0 {
			e.raw(`,`)
		}
		r.blocks[i].encode(&e)
	}
	e.raw(`]`)
	if r.outcome != nil {
		e.raw(`,"structuredContent":`)
		r.outcome.encode(&e)
	}
	if r.failed {
		e.raw(`,"isError":true}`)
	} else {
		e.raw(`,"isError":false}`)
	}
	return e.b
}

func (b *block) encode(e *encoder) {
	switch {
	case b.text != nil:
		e.raw(`{"type":"text","text":`)
		e.quote(*b.text)
	case b.picture != nil:
		e.raw(`{"type":"image","mimeType":"image/png","data":`)
		e.base64(b.picture)
	case b.file != nil:
		e.raw(`{"type":"resource","resource":{"type":`)
		if b.file.isText {
			e.raw(`"text","text":`)
			e.quote(string(b.file.data))
		} else {
			e.raw(`"blob","blob":`)
			e.base64(b.file.data)
		}
		e.raw(`,"uri":`)
		e.quote("file:///" + b.file.path)
		e.raw(`,"mimeType":`)
		e.quote(b.file.mime)
		e.raw(`}`)
	case b.link != nil:
		e.raw(`{"type":"resource_link","uri":`)
		e.quote("file:///" + b.link.Name)
		e.raw(`,"name":`)
		e.quote(b.link.Name)
		if b.link.Directory {
			e.raw(`,"description":"Directory"`)
		} else {
			e.raw(`,"description":"File","mimeType":`)
			e.quote(b.link.MIME)
			e.raw(`,"size":`)
			e.number(float64(b.link.Size))
		}
	}
	e.raw(`}`)
}

func (o *outcome) encode(e *encoder) {
	e.raw(`{`)
	if o.task != "" {
		e.raw(`"taskId":`)
		e.quote(o.task)
		e.raw(`,"taskStatus":`)
		e.quote(o.status)
		e.raw(`,`)
	}
	e.raw(`"stdout":`)
	e.quote(o.stdout)
	e.raw(`,"stderr":`)
	e.quote(o.stderr)
	if !o.running {
		e.raw(`,"exitCode":`)
		e.number(float64(o.exitCode)) // an integer token: with a fraction Go's client fails
	}
	e.raw(`,"executionTime":`)
	e.number(o.seconds)
	e.raw(`}`)
}

// encoder appends JSON.
type encoder struct{ b []byte }

func (e *encoder) raw(s string)     { e.b = append(e.b, s...) }
func (e *encoder) number(f float64) { e.b = strconv.AppendFloat(e.b, f, 'f', -1, 64) }
func (e *encoder) base64(data []byte) {
	e.b = append(e.b, '"')
	e.b = base64.StdEncoding.AppendEncode(e.b, data)
	e.b = append(e.b, '"')
}

// frameHeader is one header of a frame of the event stream.
type frameHeader struct{ name, value string }

var (
	resultHeaders = []frameHeader{{":event-type", "result"}, {":message-type", "event"}, {":content-type", "application/json"}}
)

func exceptionHeaders(name string) []frameHeader {
	return []frameHeader{{":exception-type", name}, {":message-type", "exception"}, {":content-type", "application/json"}}
}

// writeFrame writes one frame of application/vnd.amazon.eventstream. Not with
// the SDK's encoder, which copies the payload.
func writeFrame(w io.Writer, headers []frameHeader, payload []byte) error {
	var h []byte
	for _, f := range headers {
		h = append(h, byte(len(f.name)))
		h = append(h, f.name...)
		h = append(h, 7) // a string
		h = binary.BigEndian.AppendUint16(h, uint16(len(f.value)))
		h = append(h, f.value...)
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(16+len(h)+len(payload)))
	head = binary.BigEndian.AppendUint32(head, uint32(len(h)))
	head = binary.BigEndian.AppendUint32(head, crc32.ChecksumIEEE(head))
	head = append(head, h...)
	sum := crc32.Update(crc32.ChecksumIEEE(head), crc32.IEEETable, payload)
	for _, part := range [][]byte{head, payload, binary.BigEndian.AppendUint32(nil, sum)} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// quote appends a JSON string. What is no UTF-8 in it is replaced.
func (e *encoder) quote(s string) {
	b, err := jsontext.AppendQuote(e.b, s)
	if err != nil {
		b, _ = jsontext.AppendQuote(e.b, strings.ToValidUTF8(s, "\uFFFD"))
	}
	e.b = b
}
