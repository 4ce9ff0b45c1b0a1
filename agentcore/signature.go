package agentcore

import "net/http"

// Key is an access key that requests may be signed with. Its ID names the
// caller: sessions are seen by the key that opened them only.
type Key struct{ ID, Secret string }

// signature is what a request says of its signer.
type signature struct{ key string }

func (s *signature) caller() string      { return s.key }
func (s *signature) verify([]byte) error { return nil }

func (s *Server) authenticate(*http.Request) (*signature, error) { return &signature{}, nil }
