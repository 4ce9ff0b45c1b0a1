package show

import (
	"encoding/json"
	"io"
	"path/filepath"

	"github.com/strandsgo/strands"
)

type jsonLines struct {
	enc    *json.Encoder
	folder *Folder
}

// JSON writes each event as one line. A picture shown by code is saved; its
// event holds the place of the file instead of the bytes.
func JSON(out io.Writer, folder *Folder) Printer {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return &jsonLines{enc: enc, folder: folder}
}

func (j *jsonLines) Event(e strands.Event) error {
	if e.Output != nil && e.Output.Image != nil && e.Output.Image.Data != nil {
		path, err := j.folder.Picture(e.Output.Image)
		if err != nil {
			return err
		}
		if path, err = filepath.Abs(path); err != nil {
			return err
		}
		o := *e.Output
		o.Image = &strands.Media{MIME: o.Image.MIME, URI: "file://" + filepath.ToSlash(path)}
		e.Output = &o
	}
	return j.enc.Encode(e)
}

func (j *jsonLines) End() error { return nil }
