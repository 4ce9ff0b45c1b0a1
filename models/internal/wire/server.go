package wire

import (
	"cmp"
	"net/url"
	"os"
)

// A Server is where a provider's protocol is spoken.
type Server struct {
	URL  string
	Home bool   // it is the provider's own
	Key  string // what it may be sent; "" = none was found
}

// FindServer picks the server: the caller's base URL, else that of the
// environment, else home. A key from the environment goes to home and to the
// environment's own base URL, and to no other server: whoever configures one
// may not know that a key is lying around.
func FindServer(base, key, home, baseEnv string, keyEnvs ...string) (Server, bool) {
	env := os.Getenv(baseEnv)
	s := Server{URL: cmp.Or(base, env, home), Key: key}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" {
		return s, false
	}
	if h, err := url.Parse(home); err == nil {
		s.Home = u.Hostname() == h.Hostname()
	}
	if s.Home || s.URL == env {
		for _, e := range keyEnvs {
			s.Key = cmp.Or(s.Key, os.Getenv(e))
		}
	}
	return s, true
}
