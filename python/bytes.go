package python

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/strandsgo/strands/internal/ticket"
)

// Bytes is data of any size as the argument or the result of a tool: bytes in
// Python, as []byte is, without a way through text. A model that calls the tool
// itself writes base64, and reads of more than 64 KiB only how many they are.
type Bytes []byte

// JSONSchema says how the argument looks.
func (Bytes) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type":["string","object"],"contentEncoding":"base64"}`)
}

// MarshalJSON implements json.Marshaler for a model.
func (b Bytes) MarshalJSON() ([]byte, error) {
	if len(b) > bigBytes {
		return json.Marshal(fmt.Sprintf("%d bytes", len(b)))
	}
	return json.Marshal([]byte(b))
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *Bytes) UnmarshalJSON(data []byte) error {
	if d, ok := ticket.Redeem(data); ok {
		if d.MIME != bytesMIME {
			return errors.New("bytes were expected and a table came")
		}
		*b = make(Bytes, d.Size)
		_, err := io.ReadFull(io.NewSectionReader(d, 0, d.Size), *b)
		return err
	}
	var text *string
	if err := json.Unmarshal(data, &text); err != nil {
		return errors.New("bytes must be base64 text")
	}
	*b = nil
	if text == nil {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(*text)
	*b = raw
	return err
}
