package agentcore

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// decode reads a request's body into v. Nothing at all is an empty object.
func decode(body []byte, v any) error {
	if len(body) == 0 {
		return nil
	}
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		field := strings.ReplaceAll(strings.TrimPrefix(string(e.JSONPointer), "/"), "/", ".")
		if e.Err != nil {
			return invalid(field, "%v", e.Err)
		}
		return invalid(field, "a JSON %v is not what belongs here", e.JSONKind)
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return malformed(cannotParse, "the body is no JSON: %v at byte %d", e.Err, e.ByteOffset)
	}
	return malformed(cannotParse, "the body is no JSON that makes sense")
}

func reply(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the caller may be gone
	return nil
}

// stamp is a time as all clients read it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// clientToken is 33 to 256 characters.
var clientToken = regexp.MustCompile(`^[a-zA-Z0-9](-*[a-zA-Z0-9])*$`)

func checkToken(token *string) error {
	if token != nil && (len(*token) < 33 || len(*token) > 256 || !clientToken.MatchString(*token)) {
		return invalid("clientToken", "has 33 to 256 letters, digits and hyphens, with neither end a hyphen")
	}
	return nil
}

type startRequest struct {
	Name         *string        `json:"name,omitempty"`
	Seconds      *int64         `json:"sessionTimeoutSeconds,omitempty"`
	Certificates jsontext.Value `json:"certificates,omitempty"`
	Filesystems  jsontext.Value `json:"filesystemConfigurations,omitempty"`
	Token        *string        `json:"clientToken,omitempty"`
}

func (r *startRequest) check(longest time.Duration) error {
	switch {
	case r.Name != nil && (utf8.RuneCountInString(*r.Name) < 1 || utf8.RuneCountInString(*r.Name) > 100):
		return invalid("name", "has 1 to 100 characters")
	case r.Seconds != nil && (*r.Seconds < 1 || *r.Seconds > int64(longest/time.Second)):
		return invalid("sessionTimeoutSeconds", "is 1 to %d", int64(longest/time.Second))
	case isSet(r.Certificates):
		return invalid("certificates", "this server cannot fetch certificates; leave them out")
	case isSet(r.Filesystems):
		return invalid("filesystemConfigurations", "this server cannot mount file systems of AWS; leave them out")
	}
	return checkToken(r.Token)
}

func isSet(v jsontext.Value) bool { return len(v) > 0 && string(v) != "null" && string(v) != "[]" }

func (s *Server) startSession(c *call) error {
	var r startRequest
	if err := decode(c.body, &r); err != nil {
		return err
	}
	if err := r.check(s.cfg.MaxSessionLife); err != nil {
		return err
	}
	session := &codeSession{interpreter: c.interpreter, caller: c.caller, life: s.cfg.SessionLife}
	if r.Name != nil {
		session.name = *r.Name
	}
	if r.Seconds != nil {
		session.life = time.Duration(*r.Seconds) * time.Second
	}
	open := func() (*codeSession, error) { return s.openSession(c.r.Context(), session) }
	var err error
	if r.Token == nil {
		session, err = open()
	} else {
		// The resolved values: leaving out what is the default is the same request.
		request := sha256.Sum256(fmt.Appendf(nil, "%q %v", session.name, session.life))
		session, err = s.startOnce(c.r.Context(), startKey{c.caller, c.interpreter, *r.Token}, request, open)
	}
	if err != nil {
		return err
	}
	return reply(c.w, struct {
		Interpreter string `json:"codeInterpreterIdentifier"`
		Session     string `json:"sessionId"`
		Created     string `json:"createdAt"`
	}{session.interpreter, session.id, stamp(session.created)})
}

func (s *Server) stopSession(c *call) error {
	var r struct {
		Token *string `json:"clientToken"`
	}
	if err := decode(c.body, &r); err != nil {
		return err
	}
	if err := checkToken(r.Token); err != nil {
		return err
	}
	session, err := s.find(c, c.r.URL.Query().Get("sessionId"))
	if err != nil {
		return err
	}
	s.end(session, errStopped)
	s.mu.Lock()
	updated := session.updated
	s.mu.Unlock()
	return reply(c.w, struct {
		Interpreter string `json:"codeInterpreterIdentifier"`
		Session     string `json:"sessionId"`
		Updated     string `json:"lastUpdatedAt"`
	}{session.interpreter, session.id, stamp(updated)})
}

func (s *Server) getSession(c *call) error {
	session, err := s.find(c, c.r.URL.Query().Get("sessionId"))
	if err != nil {
		return err
	}
	s.mu.Lock()
	status := session.status
	s.mu.Unlock()
	return reply(c.w, struct {
		Interpreter string `json:"codeInterpreterIdentifier"`
		Session     string `json:"sessionId"`
		Name        string `json:"name,omitempty"`
		Created     string `json:"createdAt"`
		Seconds     int64  `json:"sessionTimeoutSeconds"`
		Status      string `json:"status"`
	}{session.interpreter, session.id, session.name, stamp(session.created), int64(session.life / time.Second), status})
}

type sessionSummary struct {
	Interpreter string `json:"codeInterpreterIdentifier"`
	Session     string `json:"sessionId"`
	Name        string `json:"name,omitempty"`
	Status      string `json:"status"`
	Created     string `json:"createdAt"`
	Updated     string `json:"lastUpdatedAt"`
}

// listSessions shows the newest first. A page begins below the last one's
// oldest session, so that those that are started in between change nothing.
func (s *Server) listSessions(c *call) error {
	var r struct {
		Most   *int64  `json:"maxResults"`
		Next   *string `json:"nextToken"`
		Status *string `json:"status"`
	}
	if err := decode(c.body, &r); err != nil {
		return err
	}
	most, below := int64(10), ^uint64(0)
	if r.Most != nil {
		most = *r.Most
	}
	if most < 1 || most > 100 {
		return invalid("maxResults", "is 1 to 100")
	}
	if r.Status != nil && *r.Status != statusReady && *r.Status != statusTerminated {
		return invalid("status", "is READY or TERMINATED")
	}
	if r.Next != nil {
		seq, err := parsePage(*r.Next)
		if err != nil {
			return err
		}
		below = seq
	}
	var page struct {
		Items []sessionSummary `json:"items"`
		Next  string           `json:"nextToken,omitempty"`
	}
	page.Items = []sessionSummary{}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := uint64(0)
	for _, session := range slices.Backward(s.sessions) {
		if session.seq >= below || session.caller != c.caller || session.interpreter != c.interpreter ||
			(r.Status != nil && session.status != *r.Status) {
			continue
		}
		if int64(len(page.Items)) == most {
			page.Next = pageToken(last)
			break
		}
		last = session.seq
		page.Items = append(page.Items, sessionSummary{
			session.interpreter, session.id, session.name, session.status, stamp(session.created), stamp(session.updated),
		})
	}
	return reply(c.w, page)
}

// pageToken names the place after the session seq in a list.
func pageToken(seq uint64) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "below %d", seq))
}

func parsePage(token string) (uint64, error) {
	text, err := base64.RawURLEncoding.DecodeString(token)
	if number, ok := strings.CutPrefix(string(text), "below "); ok && err == nil {
		if seq, err := strconv.ParseUint(number, 10, 64); err == nil {
			return seq, nil
		}
	}
	return 0, invalid("nextToken", "is no token of this list")
}
