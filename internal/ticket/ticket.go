// Package ticket hands big data to whoever decodes the arguments of a call.
// The one who makes the call issues a ticket and writes it into the JSON in
// place of the data; the type that the JSON is decoded into redeems it. So the
// data needs no way of its own through hooks, checks and decoders.
package ticket

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"sync"
)

// Data is what a ticket stands for. It can be read until the ticket is
// withdrawn.
type Data struct {
	MIME string
	Size int64 // bytes
	io.ReaderAt
	Memory []byte // the same bytes, aligned and never changed; nil = they are not to be had so
}

var issued sync.Map // string → Data

// Issue returns a ticket for d as a JSON object, and what withdraws it. A
// ticket cannot be guessed.
func Issue(d Data) (ticket json.RawMessage, withdraw func()) {
	key := rand.Text()
	issued.Store(key, d)
	b, _ := json.Marshal(body{key, d.MIME, d.Size}) // strings and a number always marshal
	return b, func() { issued.Delete(key) }
}

type body struct {
	Ticket string `json:"$ticket"`
	MIME   string `json:"mime"`
	Size   int64  `json:"size"`
}

// Redeem returns the data of a ticket. It is false when b is none, or one that
// was withdrawn.
func Redeem(b []byte) (Data, bool) {
	var t body
	if json.Unmarshal(b, &t) != nil || t.Ticket == "" {
		return Data{}, false
	}
	d, ok := issued.Load(t.Ticket)
	if !ok {
		return Data{}, false
	}
	return d.(Data), true
}
